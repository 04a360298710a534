// Whole commands: a build with nothing to do.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { median, timed } from './statistics.mjs'

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

function run([program, ...args]) {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`)
}
