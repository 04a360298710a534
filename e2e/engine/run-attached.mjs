// Run by owner-death.e2e.test.ts: attaches to a container, prints its id, and waits to be killed.
import { connectEngine, resolveEngineAddress, runAttached } from '../../dist/engine/index.js'

const [, , image, labels] = process.argv
const engine = await connectEngine(await resolveEngineAddress(process.env))
const container = await runAttached(engine, {
  image,
  labels: JSON.parse(labels),
  command: ['sh', '-c', 'cat >/dev/null'],
})
console.log(container.id)
