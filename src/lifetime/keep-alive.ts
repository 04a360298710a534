/** It only has to come back. */
const INTERVAL_MS = 60_000

/** Keeps a process alive as long as anybody wants that. */
class ProcessHold {
  readonly #letGo = () => this.#end()
  #wanted = 0
  #timer: NodeJS.Timeout | undefined

  want(): void {
    if (this.#wanted++ > 0 || process.connected === false) return
    this.#timer = setInterval(() => {}, INTERVAL_MS)
    process.once('disconnect', this.#letGo)
  }

  release(): void {
    if (--this.#wanted === 0) this.#end()
  }

  #end(): void {
    clearInterval(this.#timer)
    process.off('disconnect', this.#letGo)
  }
}

const hold = new ProcessHold()

/**
 * Keeps the process alive: Node ends when promises are all that is waited for. A child whose parent is gone is not kept: what it waits
 * for comes no more.
 * @returns what ends it. No Disposable, because Node 20 has no `Symbol.dispose` in the vm contexts that some test runners use
 */
export function keepAlive(): () => void {
  hold.want()
  let wanted = true
  return () => {
    if (wanted) hold.release()
    wanted = false
  }
}
