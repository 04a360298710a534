// The thread that keeps VMs for a test runner; see keeper.ts.
import { parentPort } from 'node:worker_threads'
import { parseMatrix } from '../options/index.ts'
import type { KeeperReply, KeeperRequest } from './keeper.ts'
import { running } from './running.ts'
import type { VmUse } from './shared-vms.ts'

const port = parentPort
if (port === null) throw new Error('this module is for a thread')
const tell = (reply: KeeperReply) => port.postMessage(reply)

const { vms, fates } = running((line) => tell({ kind: 'line', line }))
const held = new Map<number, readonly VmUse[]>()

port.on('message', async (request: KeeperRequest) => {
  if (request.kind === 'release') {
    await Promise.all((held.get(request.id) ?? []).map((use) => use.release()))
    held.delete(request.id)
    return tell({ kind: 'released', id: request.id })
  }
  const uses = parseMatrix(request.rows).map((entry) => vms.use(entry))
  held.set(request.id, uses)
  for (const { started } of uses) started.catch(() => tell({ kind: 'failed', id: request.id }))
  tell({ kind: 'holds', id: request.id, fates: await Promise.all(uses.map((use) => fates.follow(use))) })
})
