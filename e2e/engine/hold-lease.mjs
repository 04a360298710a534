// Run by owner-death.e2e.test.ts: holds a lease, prints the container's id, and waits to be killed.
import { connectEngine, resolveEngineAddress, startLease } from '../../dist/engine/index.js'

const [, , image, labels] = process.argv
const engine = await connectEngine(await resolveEngineAddress(process.env))
const lease = await startLease(engine, { image, labels: JSON.parse(labels), command: ['sh', '-c', 'cat >/dev/null'] })
console.log(lease.id)
