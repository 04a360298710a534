import { orAborted, startDeadline } from './deadline.ts'

/** Who lost a connection waits no longer than this to hear what broke it. */
const REASON_TIMEOUT_MS = 2_000

/** What breaks a connection is often told a moment later: the signal's reason, if it aborts in time; else the loss itself. */
export async function reasonInTime(signal: AbortSignal, loss: unknown): Promise<unknown> {
  using deadline = startDeadline({ ms: REASON_TIMEOUT_MS, signal, onPassed: () => new Error('no reason came') })
  await orAborted(new Promise<never>(() => {}), deadline.signal).catch(() => {})
  return signal.aborted ? signal.reason : loss
}
