// The thread that has the VMs of a test runner; see session-thread.ts.
import { parentPort } from 'node:worker_threads'
import { reasonOf } from '../errors/index.ts'
import { parseMatrix } from '../options/index.ts'
import { leaseForProject, type ProjectLease, testSession } from './session.ts'
import type { LetGo, ThreadReply, ThreadRequest } from './session-thread.ts'

const port = parentPort
if (port === null) throw new Error('this module is for a thread')
const tell = (reply: ThreadReply) => port.postMessage(reply)

const session = testSession((line) => tell({ kind: 'line', line }))
const leases = new Map<number, ProjectLease>()

port.on('message', async (request: ThreadRequest | LetGo) => {
  if (request.kind === 'let go') return session.kept.letGo()
  const { id } = request
  try {
    tell(await answer(request))
  } catch (thrown) {
    tell({ kind: 'refused', id, message: reasonOf(thrown) })
  }
})

async function answer(request: ThreadRequest): Promise<ThreadReply> {
  const { id } = request
  if (request.kind === 'release') {
    await leases.get(id)?.end()
    leases.delete(id)
    return { kind: 'released', id }
  }
  const { rows, isolation, retryOn, keepOnFailure, owner, workers } = request
  const wants = { entries: parseMatrix(rows), isolation, retryOn, keepOnFailure, owner, workers }
  const lease = await leaseForProject(session, wants)
  leases.set(id, lease)
  for (const { started } of lease.vms) started.catch(() => tell({ kind: 'failed', id }))
  return { kind: 'leased', id, sources: lease.sources, directory: await session.directory() }
}
