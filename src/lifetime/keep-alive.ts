/** It only has to come back. */
const INTERVAL_MS = 60_000

let wanted = 0
let timer: NodeJS.Timeout | undefined

/**
 * Keeps the process alive: Node ends when promises are all that is waited for. A child whose parent is gone is not kept: what it waits
 * for comes no more.
 * @returns what ends it. No Disposable, because Node 20 has no `Symbol.dispose` in the vm contexts that some test runners use
 */
export function keepAlive(): () => void {
  if (wanted++ === 0 && process.connected !== false) hold()
  let holding = true
  return () => {
    if (holding && --wanted === 0) letGo()
    holding = false
  }
}

function hold(): void {
  timer = setInterval(() => {}, INTERVAL_MS)
  process.once('disconnect', letGo)
}

function letGo(): void {
  clearInterval(timer)
  process.off('disconnect', letGo)
}
