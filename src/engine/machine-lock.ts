import { createHash } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { neverAborted, orAborted, startDeadline, waitingFor } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'

/** `sun_path` of Linux. */
const ADDRESS_BYTES = 108
/** What is made under a lock takes minutes. Who has it for longer hangs, or is a stranger who took the name. */
const TURN_DEADLINE_MS = 20 * 60_000
/** One who takes connections and closes them at once does not keep a processor busy with us. */
const NEXT_TRY_MS = 100

export interface LockOptions {
  /** What is made under the lock, for the line that says we wait: `base image trixie`. */
  readonly what: string
  /** Longest wait for it, in milliseconds; then the work is done without. @default 1_200_000 */
  readonly turnTimeoutMs?: number
  readonly signal?: AbortSignal
  readonly log?: Logger
}

/**
 * A lock among the processes of this machine, for making something once that all of them use. The lock is a listening
 * socket in Linux' abstract namespace: the kernel drops it with its owner, even after SIGKILL, so there is never a stale
 * one; and a process that waits holds a connection to it, whose end is the news that it is free. On other systems there is
 * no such namespace and no lock: work must be safe to do twice, only wasteful.
 */
export async function acquireMachineLock(name: string, options: LockOptions): Promise<AsyncDisposable> {
  const { what, turnTimeoutMs = TURN_DEADLINE_MS, signal = neverAborted(), log = silentLogger } = options
  if (process.platform !== 'linux') return NO_LOCK
  const path = socketName(name)
  signal.throwIfAborted()
  const free = await tryListen(path)
  if (free !== undefined) return free
  log.info(`another process is making the ${what}; waiting for it`)
  using _wait = waitingFor(`another process to make the ${what}`)
  using turn = startDeadline({ ms: turnTimeoutMs, signal, onPassed: () => new Error('our turn did not come') })
  try {
    while (true) {
      await closed(path, turn.signal)
      const lock = await tryListen(path)
      if (lock !== undefined) return lock
      await delay(NEXT_TRY_MS, undefined, { signal: turn.signal })
    }
  } catch (thrown) {
    signal.throwIfAborted()
    if (!turn.signal.aborted) throw thrown
    log.warn(`another process has not made the ${what} in ${turnTimeoutMs / 60_000} minutes; making it as well`)
    return NO_LOCK
  }
}

const NO_LOCK: AsyncDisposable = { [Symbol.asyncDispose]: async () => {} }

/**
 * As long as a socket's address can be: libuv before 1.51 fills a shorter name up with zeros and later ones do not, so that two versions
 * of Node would not meet.
 */
function socketName(name: string): string {
  const digest = createHash('sha256').update(name).digest('hex')
  return `\0testkernels/${digest}`.padEnd(ADDRESS_BYTES, '-')
}

/** `undefined` when another process listens there. */
async function tryListen(path: string): Promise<AsyncDisposable | undefined> {
  const waiting = new Set<Socket>()
  const server = createServer((socket) => {
    waiting.add(socket)
    socket.on('error', () => {})
    socket.once('close', () => waiting.delete(socket))
  })
  const listening = await new Promise<boolean>((resolve, reject) => {
    server.once('listening', () => resolve(true))
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(path)
  })
  return listening ? { [Symbol.asyncDispose]: () => release(server, waiting) } : undefined
}

async function release(server: Server, waiting: ReadonlySet<Socket>): Promise<void> {
  const freed = new Promise((resolve) => server.close(resolve))
  for (const socket of waiting) socket.destroy()
  await freed
}

/** Resolves when the lock that we wait for is free again. */
async function closed(path: string, signal: AbortSignal): Promise<void> {
  const socket = connect(path)
  try {
    await orAborted(
      new Promise<void>((resolve) => {
        // Refused: it was freed between our two tries.
        socket.on('error', () => {})
        socket.once('close', () => resolve())
      }),
      signal,
    )
  } finally {
    socket.destroy()
  }
}
