import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { llb, type State } from '../../src/buildkit/index.ts'
import { sources } from '../../src/image/recipes/sources.ts'
import { aptInstall } from '../../src/image/recipes/tools.ts'
import { BASE_SUITE } from '../../src/image/recipes/vm-image.ts'
import { connect, unique } from '../buildkit/support.ts'
import { toolsState } from './support.ts'

const fuzzer = join(import.meta.dirname, '../../fixtures/door/fuzz.c')
/** With what they refer to. */
const PARSERS = ['request', 'frames', 'names', 'pair', 'listener', 'loop', 'support']
  .map((name) => `/door/${name}.c`)
  .join(' ')
const CHECKS = '-g -O1 -Wall -Wextra -Werror -fno-sanitize-recover=all'

/** The parsers with a driver that draws lines and streams from a seed: any compiler will do. @returns what it printed */
export async function fuzzSeeded({ seed, lines }: { seed: number; lines: number }): Promise<string> {
  const { tools, arch } = await toolsState()
  return await output(tools, arch, [
    `gcc ${CHECKS} -fsanitize=address,undefined -DSEEDED -I/door -o /tmp/fuzz /fuzz/fuzz.c ${PARSERS}`,
    `/tmp/fuzz ${seed} ${lines}`,
  ])
}

/** The parsers under libFuzzer, which looks for input that reaches more of them. @returns what it printed */
export async function fuzzGuided({ seconds }: { seconds: number }): Promise<string> {
  const { tools, arch, mirror } = await toolsState()
  const withClang = aptInstall(tools, {
    name: '[fuzz] apt-get install clang',
    mirror,
    suite: BASE_SUITE,
    packages: ['clang', 'libclang-rt-dev'],
  })
  return await output(withClang, arch, [
    `clang ${CHECKS} -fsanitize=fuzzer,address,undefined -I/door -o /tmp/fuzz /fuzz/fuzz.c ${PARSERS}`,
    // Lines that are nearly right are a beginning: chance alone would not find 64 digits.
    'mkdir /tmp/corpus; secret=$(printf "%064d" 7)',
    'for end in "unix /var/run/docker.sock" "tcp 61022" "tcp 65536" "tcp6 80" "udp 53" "udp6 53" "ro /x" "rw /x/y" "tcp 0" "unix x" "unix" ""; do printf "%s %s" $secret "$end" >"/tmp/corpus/$(echo "$end" | tr -c a-z0-9 _)"; done',
    `/tmp/fuzz -max_total_time=${seconds} -max_len=400 -print_final_stats=1 /tmp/corpus`,
  ])
}

async function output(state: State, arch: Parameters<typeof sources>[1]['arch'], script: string[]): Promise<string> {
  const step = state.run({
    name: '[fuzz] run',
    // Its result is in no cache: who runs it again wants it run.
    script: [`: ${unique()}`, 'set -e', ...script].join('\n'),
    mounts: [
      llb.bind('/door', sources('door', { arch }), { selector: '/src' }),
      llb.bind('/fuzz', llb.scratch(arch.platform).file(llb.mkfile('/fuzz.c', readFileSync(fuzzer)))),
    ],
  })
  await using buildkit = await connect()
  let said = ''
  await buildkit.solve({
    definition: step.definition(),
    onStatus: ({ logs }) => {
      said += logs.map(({ data }) => Buffer.from(data).toString()).join('')
    },
  })
  return said
}
