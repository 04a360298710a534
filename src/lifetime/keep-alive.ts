/** It only has to come back. */
const INTERVAL_MS = 60_000

/**
 * Keeps the process alive: Node ends when promises are all that is waited for.
 * @returns what ends it. No Disposable, because Node 20 has no `Symbol.dispose` in the vm contexts that some test runners use
 */
export function keepAlive(): () => void {
  const timer = setInterval(() => {}, INTERVAL_MS)
  return () => clearInterval(timer)
}
