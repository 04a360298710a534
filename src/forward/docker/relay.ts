import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { reasonInTime } from '../../lifetime/index.ts'
import { StreamRefusedError } from '../../streams/index.ts'
import { ForwardBrokenError } from '../errors.ts'
import { Exchange } from './exchange.ts'
import { farewell } from './farewell.ts'

export interface RelayOptions {
  readonly open: () => Promise<Duplex>
  /** Aborts when the VM is gone; what clients get to read is its reason. */
  readonly explanation: AbortSignal
  /** Is told each piece that the client sends. */
  readonly onPiece?: (piece: Buffer) => void
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/**
 * Carries one HTTP connection to the guest's dockerd, and answers itself when that is not possible any more. A connection that breaks
 * where its client would wonder waits a little for the reason: what breaks it is often the VM's end, of which we hear a moment later.
 */
export function relay(local: Socket, { open, explanation, onPiece, entry }: RelayOptions): void {
  const exchange = new Exchange()
  let remote: Duplex | undefined
  let broken = false
  let gaveUp = false

  const giveUp = (reason: unknown) => {
    if (gaveUp) return
    gaveUp = true
    part()
    if (!local.destroyed) farewell(local, reason, exchange)
  }
  const onExplained = () => giveUp(explanation.reason)
  const onBroken = (loss: unknown) => {
    if (broken || gaveUp) return
    broken = true
    part()
    if (!exchange.unfinished) local.destroySoon()
    else void reasonInTime(explanation, loss).then(giveUp)
  }
  const part = () => {
    if (remote === undefined) return
    local.unpipe(remote)
    remote.unpipe(local)
    remote.destroy()
  }

  const join = (opened: Duplex) => {
    if (gaveUp || local.destroyed) return void opened.destroy()
    remote = opened
    local.on('data', (piece: Buffer) => {
      exchange.fromClient(piece)
      onPiece?.(piece)
    })
    opened.on('data', (piece: Buffer) => exchange.fromServer(piece))
    local.pipe(opened)
    opened.pipe(local, { end: false })
    local.once('close', () => opened.destroy())
    opened.on('error', onBroken)
    opened.once('end', () => {
      // A client that is done, or whose answer is complete, takes an end for an end.
      if (exchange.unfinished && !local.readableEnded) onBroken(endedEarly(entry))
      else local.end()
    })
    opened.once('close', () => {
      if (!broken && !gaveUp) local.destroySoon()
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
  open().then(join, (error) => {
    if (error instanceof StreamRefusedError) giveUp(error)
    else onBroken(error)
  })
}

function endedEarly(entry: string | undefined): ForwardBrokenError {
  return new ForwardBrokenError({
    what: "the guest's dockerd ended the connection before its answer was complete",
    entry,
    remedy: "read dockerd's log in the guest (/var/log/dockerd.log), and the console",
  })
}
