// How the guest's agent puts together what the rootfs, the host and an entry have for dockerd, as it does where systemd starts that: in a
// step of a build, with a dockerd that only tells what it was given.
import { expect, test } from 'vitest'
import { llb } from '../../src/buildkit/index.ts'
import { sources } from '../../src/image/recipes/sources.ts'
import { connect, unique } from '../buildkit/support.ts'
import { toolsState } from '../door/support.ts'

interface Given {
  /** Of the rootfs's docker.service. */
  readonly command?: readonly string[]
  /** The rootfs's daemon.json. */
  readonly own?: object
  /** What the host has, unless the rootfs says it. */
  readonly defaults?: object
  /** The option `daemon`. */
  readonly daemon?: object
}

const cases = [
  {
    what: "a key of the option goes before the rootfs's, and before a flag of its docker.service, with its value",
    given: {
      command: ['-H', 'fd://', '--log-level', 'debug', '-s', 'vfs', '--label=a=b', '--icc=false', '--debug'],
      own: { 'log-level': 'warn', 'live-restore': true },
      daemon: { 'log-level': 'error', 'storage-driver': 'overlay2', labels: [], debug: false },
    },
    args: '-H fd:// --icc=false',
    json: { 'log-level': 'error', 'storage-driver': 'overlay2', labels: [], debug: false, 'live-restore': true },
  },
  {
    what: "a mirror of the host's yields to a flag of the rootfs's docker.service",
    given: {
      command: ['--registry-mirror=http://own.example.org', '--insecure-registry', 'own.example.org'],
      defaults: { 'registry-mirrors': ['http://host.example.org'], 'insecure-registries': ['host.example.org'] },
    },
    args: '--registry-mirror=http://own.example.org --insecure-registry own.example.org',
    json: {},
  },
  {
    what: "of keys that exclude each other the option's stays",
    given: {
      command: ['--bip=10.2.0.1/16', '--icc=false'],
      own: { bip: '10.1.0.1/16', 'live-restore': true },
      daemon: { bridge: 'none' },
    },
    args: '--icc=false',
    json: { bridge: 'none', 'live-restore': true },
  },
] satisfies readonly { what: string; given: Given; args: string; json: object }[]

test.each(cases)('$what', async ({ given, args, json }) => {
  const [said, file] = await started(given)
  expect(said).toBe(args)
  expect(JSON.parse(file)).toEqual(json)
})

/** @returns the arguments that dockerd is started with, but for ours, and its daemon.json */
async function started({ command = [], own = {}, defaults, daemon }: Given): Promise<readonly [string, string]> {
  const { tools, arch } = await toolsState()
  const write = (path: string, value: object | undefined) =>
    value === undefined ? [] : [`cat >${path} <<'END'\n${JSON.stringify(value)}\nEND`]
  const script = [
    `: ${unique()}`,
    'set -e',
    'mkdir -p /.testkernels/etc /etc/docker',
    'headers="-idirafter /usr/include -idirafter /usr/include/$(gcc -print-multiarch)"',
    'musl-gcc $headers -static -Os -Wall -Wextra -Werror -o /tmp/agent /src/agent/*.c',
    'printf \'#!/bin/sh\\necho "args: $*"\\n\' >/tmp/dockerd',
    'chmod +x /tmp/dockerd',
    "printf 'dockerd\\n' >/.testkernels/etc/command",
    ...write('/etc/docker/daemon.json', own),
    ...write('/.testkernels/etc/daemon-defaults.json', defaults),
    ...write('/.testkernels/etc/daemon.json', daemon),
    `/tmp/agent dockerd /tmp/dockerd ${command.join(' ')}`,
    'echo "json: $(cat /etc/docker/daemon.json)"',
  ]
  const step = tools.run({
    name: '[daemon.json] start',
    script: script.join('\n'),
    mounts: [llb.bind('/src', sources('guest', { arch, only: ['agent'] }), { selector: '/src' })],
  })
  await using buildkit = await connect()
  let output = ''
  await buildkit.solve({
    definition: step.definition(),
    onStatus: ({ logs }) => {
      output += logs.map(({ data }) => Buffer.from(data).toString()).join('')
    },
  })
  const line = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(output)?.[1]?.trim() ?? `none in ${output}`
  return [line('args'), line('json')]
}
