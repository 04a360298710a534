/** It only has to come back. */
const INTERVAL_MS = 60_000

/** Keeps the process alive until it is disposed: Node ends when promises are all that is waited for. */
export function keepAlive(): Disposable {
  const timer = setInterval(() => {}, INTERVAL_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
