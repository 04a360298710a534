import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Exchange } from './exchange.ts'
import { farewell } from './farewell.ts'
import { splice, unsplice } from './splice.ts'

export interface RelayOptions {
  readonly openRemote: () => Promise<Duplex>
  /** Aborts when the VM is gone; what clients get to read is its reason. */
  readonly explanation: AbortSignal
  /** Aborts when the connection to the VM is over. An explanation follows. */
  readonly ended: AbortSignal
}

/** Carries one HTTP connection to the guest's dockerd, and answers itself when that is not possible any more. */
export function relay(local: Socket, { openRemote, explanation, ended }: RelayOptions): void {
  const exchange = new Exchange()
  let remote: Duplex | undefined
  let gaveUp = false

  const giveUp = (reason: unknown) => {
    if (gaveUp) return
    gaveUp = true
    if (remote !== undefined) unsplice(local, remote)
    remote?.destroy()
    if (!local.destroyed) farewell(local, reason, exchange)
  }
  const onExplained = () => giveUp(explanation.reason)

  const join = (opened: Duplex) => {
    if (gaveUp || local.destroyed) return void opened.destroy()
    remote = opened
    local.on('data', (piece: Buffer) => exchange.fromClient(piece))
    remote.on('data', (piece: Buffer) => exchange.fromServer(piece))
    splice(local, remote)
    remote.once('close', () => {
      if (!gaveUp && !ended.aborted) local.destroySoon()
    })
  }

  // The 'close' that follows an error does the work.
  local.on('error', () => {})
  if (explanation.aborted) {
    onExplained()
    return
  }
  explanation.addEventListener('abort', onExplained, { once: true })
  local.once('close', () => explanation.removeEventListener('abort', onExplained))
  openRemote().then(join, (error) => {
    if (!ended.aborted) giveUp(error)
  })
}
