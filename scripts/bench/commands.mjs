// Whole commands: a build with nothing to do, and with --peers what others take for a like job.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { median, repeated, timed } from './statistics.mjs'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

export async function benchNoOpBuild() {
  const build = () => run([process.execPath, main, 'build', '--kernel', 'debian:bookworm'])
  build()
  const nothing = []
  const builds = []
  for (let round = 0; round < 10; round++) {
    nothing.push(await timed(async () => run([process.execPath, '-e', '0'])))
    builds.push(await timed(async () => build()))
  }
  return {
    noOpBuildMs: median(builds),
    nodeMs: median(nothing),
    noOpBuildOverNodeMs: median(builds) - median(nothing),
  }
}

/** virtme-ng boots a kernel of this machine with its file system as root; to `uname -r`, with no dockerd in it. */
export async function benchPeers() {
  const vmlinuz = readdirSync('/boot').find((name) => name.startsWith('vmlinuz-'))
  if (spawnSync('vng', ['--version']).status !== 0 || vmlinuz === undefined) return { virtmeNgMs: undefined }
  const boot = () => run(['vng', '--disable-kvm', '--run', `/boot/${vmlinuz}`, '--exec', 'uname -r'])
  return { virtmeNgMs: median(await repeated(3, () => timed(async () => boot()))) }
}

function run([program, ...args]) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`)
}
