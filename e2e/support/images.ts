// Global setup of the project whose tests start programs of ours: the images of their VMs are there before the first test, so
// that no test's deadline has to allow for a build of minutes. With an engine that has them it takes a second.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const main = join(import.meta.dirname, '../../dist/cli/main.js')

export default async function setup(): Promise<void> {
  for (const kernel of ['debian:bookworm', 'debian:trixie']) {
    const build = spawn(process.execPath, [main, 'build', '--kernel', kernel], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    const [code] = await once(build, 'close')
    if (code !== 0) throw new Error(`testkernels build --kernel ${kernel} failed; its output is above`)
  }
}
