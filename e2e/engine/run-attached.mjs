// Run by owner-death and prune: attaches to a container, which may have a volume of the same labels, prints its id, and waits to be killed.
import { connectEngine, resolveEngineAddress, runAttached } from '../../dist/engine/index.js'

const [, , image, json, volume] = process.argv
const labels = JSON.parse(json)
const engine = await connectEngine(await resolveEngineAddress(process.env))
const container = await runAttached(engine, {
  image,
  labels,
  command: ['sh', '-c', 'cat >/dev/null'],
  mounts: volume === undefined ? [] : [{ kind: 'volume', volume, labels, target: '/volume', access: 'read-write' }],
})
console.log(container.id)
