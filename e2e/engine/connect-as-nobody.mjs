// Run by connect.e2e.test.ts as root: drops to a user without any group, connects, and prints the error.
import { connectEngine, resolveEngineAddress } from '../../dist/engine/index.js'

const NOBODY = 65534
const resolved = await resolveEngineAddress(process.env)
process.setgroups([])
process.setgid(NOBODY)
process.setuid(NOBODY)
try {
  await connectEngine(resolved)
} catch ({ code, message, remedy }) {
  console.log(JSON.stringify({ code, message, remedy }))
}
