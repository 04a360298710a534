// The thread that keeps VMs for a test runner; see keeper.ts.
import { parentPort } from 'node:worker_threads'
import { parseMatrix } from '../options/index.ts'
import { type Hold, holdVms } from './hold.ts'
import type { KeeperReply, KeeperRequest } from './keeper.ts'
import { running } from './running.ts'

const port = parentPort
if (port === null) throw new Error('this module is for a thread')
const tell = (reply: KeeperReply) => port.postMessage(reply)

const here = running((line) => tell({ kind: 'line', line }))
const held = new Map<number, Hold>()

port.on('message', async (request: KeeperRequest) => {
  const { id } = request
  if (request.kind === 'release') {
    await held.get(id)?.release()
    held.delete(id)
    return tell({ kind: 'released', id })
  }
  const { rows, isolation, owner } = request
  const hold = await holdVms(here, { entries: parseMatrix(rows), isolation, owner })
  held.set(id, hold)
  for (const { started } of hold.uses) started.catch(() => tell({ kind: 'failed', id }))
  tell({ kind: 'holds', id, sources: hold.sources, directory: await here.directory() })
})
