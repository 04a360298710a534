import { createHash } from 'node:crypto'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { neverAborted, orAborted } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'

/** `sun_path` of Linux. */
const ADDRESS_BYTES = 108

export interface LockOptions {
  /** What is made under the lock, for the line that says we wait: `base image trixie`. */
  readonly what: string
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
  const { what, signal = neverAborted(), log = silentLogger } = options
  if (process.platform !== 'linux') return { [Symbol.asyncDispose]: async () => {} }
  const path = socketName(name)
  let waited = false
  while (true) {
    signal.throwIfAborted()
    const lock = await tryListen(path)
    if (lock !== undefined) return lock
    if (!waited) log.info(`another process is making the ${what}; waiting for it`)
    waited = true
    await closed(path, signal)
  }
}

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
