// What a test file waits for a VM of its own, as a worker of a test runner asks for it.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { leaseForProject, testSession } from '../../dist/matrix/index.js'
import { parseMatrix } from '../../dist/options/index.js'
import { leaseVms } from '../../dist/worker/index.js'
import { percentile, repeated, timed } from './statistics.mjs'

const run = promisify(execFile)

/** One worker, with the defaults. */
export async function benchIsolation({ files = 10 } = {}) {
  const entries = parseMatrix({ isolated: { kernel: 'debian:bookworm' } })
  const session = testSession((line) => process.stderr.write(`${line}\n`))
  const project = await leaseForProject(session, { entries, isolation: 'file', owner: 'bench', workers: 1 })
  try {
    // A test runner runs no file before.
    await Promise.all(project.vms.map(({ started }) => started))
    const waits = await repeated(files, () => waitOfFile(project.sources))
    return { fileWaitP50Ms: percentile(waits, 0.5), fileWaitP95Ms: percentile(waits, 0.95) }
  } finally {
    await project.release()
  }
}

async function waitOfFile(sources) {
  let vms = []
  const ms = await timed(async () => {
    vms = await leaseVms(sources, { worker: '1' })
  })
  for (const { kernel, release } of vms) {
    await testsOf(kernel)
    release()
  }
  return ms
}

/** Three commands, which is a short file. */
async function testsOf({ environment }) {
  const env = { ...process.env, ...environment }
  for (const argv of [['volume', 'ls'], ['volume', 'create', 'one'], ['info']]) await run('docker', argv, { env })
}
