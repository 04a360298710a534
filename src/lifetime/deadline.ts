/** A point in time that work must be done by, shared by the steps of that work. */
export interface Deadline {
  /** Aborts when the time is up or the outer signal aborted; its reason is what `onPassed` made. */
  readonly signal: AbortSignal
  /** Milliseconds left; 0 when passed. */
  remainingMs(): number
  /** Gives it all its time again. */
  restart(): void
  /** Stops the clock until what it returns is disposed: for work whose size nobody knows. Not twice at a time. */
  pause(): Disposable
  /** Must be called when the work is done, or the process waits for the timer. */
  [Symbol.dispose](): void
}

export interface DeadlineOptions {
  readonly ms: number
  /** The error that the work fails with when the time is up. */
  readonly onPassed: () => Error
  /** Cancels the work earlier. */
  readonly signal?: AbortSignal | undefined
}

export function startDeadline({ ms, onPassed, signal }: DeadlineOptions): Deadline {
  const controller = new AbortController()
  let end = performance.now() + ms
  const remainingMs = () => Math.max(0, end - performance.now())
  const start = () => setTimeout(() => controller.abort(onPassed()), remainingMs())
  let timer = start()
  const cancel = () => controller.abort(signal?.reason)
  if (signal?.aborted) cancel()
  signal?.addEventListener('abort', cancel, { once: true })
  return {
    signal: controller.signal,
    remainingMs,
    restart() {
      clearTimeout(timer)
      end = performance.now() + ms
      timer = start()
    },
    pause() {
      const leftMs = remainingMs()
      clearTimeout(timer)
      return {
        [Symbol.dispose]: () => {
          end = performance.now() + leftMs
          timer = start()
        },
      }
    },
    [Symbol.dispose]: () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', cancel)
    },
  }
}

/** Settles like `work`, or rejects with the signal's reason as soon as it aborts. The work itself is not stopped. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) {
    // Nobody waits for the work any more, so its failure is nobody's.
    work.catch(() => {})
    throw signal.reason
  }
  let cancel: () => void = () => {}
  const aborted = new Promise<never>((_, reject) => {
    cancel = () => reject(signal.reason)
    signal.addEventListener('abort', cancel, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

/** Resolves as soon as the signal aborts, whatever its reason. It keeps no process alive. */
export async function whenAborted(signal: AbortSignal): Promise<void> {
  await orAborted(new Promise<never>(() => {}), signal).catch(() => {})
}

/** Who lost a connection waits no longer than this to hear what broke it. */
const REASON_TIMEOUT_MS = 2_000

/** What breaks a connection is often told a moment later: the signal's reason, if it aborts in time; else the loss itself. */
export async function reasonInTime(signal: AbortSignal, loss: unknown): Promise<unknown> {
  using deadline = startDeadline({ ms: REASON_TIMEOUT_MS, signal, onPassed: () => new Error('no reason came') })
  await whenAborted(deadline.signal)
  return signal.aborted ? signal.reason : loss
}

/** The signal of work that nobody calls off. A new one each time: a shared one would collect the listeners of all. */
export function neverAborted(): AbortSignal {
  return new AbortController().signal
}

/** What this process waits for at the moment, in other programs' hands. */
const current = new Set<{ readonly what: string }>()

/**
 * Names a wait for as long as it is not disposed, so that who asks us to end hears what keeps us.
 * @param what ends the sentence "waiting for": `the Docker engine to answer GET /info`
 */
export function waitingFor(what: string): Disposable {
  const wait = { what }
  current.add(wait)
  return { [Symbol.dispose]: () => void current.delete(wait) }
}

/** What ends in an orderly way has ended by then, on a machine at rest. */
const ORDERLY_MS = 8_000

/**
 * Says once what an orderly end still waits for, where it takes long and is not over by then: when it is disposed. It keeps no process alive.
 * @param report takes a line for each wait, the oldest first
 */
export function sayWhatKeeps(report: (lines: string) => void): Disposable {
  const say = () => report([...new Set([...current].map(({ what }) => `\n  waiting for ${what}`))].join(''))
  const timer = setTimeout(say, ORDERLY_MS).unref()
  return { [Symbol.dispose]: () => clearTimeout(timer) }
}
