import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ClientChannel } from 'ssh2'
import { orAborted } from '../lifetime/index.ts'
import { readText } from '../log/index.ts'
import type { ChannelOpener, Terminal, WindowSize } from './channels.ts'
import { type ChannelStream, sendSignal } from './channels.ts'
import { SshExecFailedError, SshOutputTooLongError } from './errors.ts'

export interface SpawnOptions {
  /** Kills the program; its streams end with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Shell code that goes before the program, in the shell that becomes it: `cd /tmp || exit; `. @default '' */
  readonly setup?: string | undefined
  /** The terminal that it has; both its outputs are `stdout` then, and its input has no end. @default none */
  readonly tty?: Terminal | undefined
}

export interface ExitStatus {
  /** What the program returned; 128 and the signal's number when a signal ended it, as a shell says it. */
  readonly exitCode: number
  /** Name of the signal that ended it, such as `SIGKILL`. */
  readonly signal?: NodeJS.Signals
}

/** A program that runs in the guest. Read both outputs, or it stops when their buffers are full. */
export interface RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Rejects when the connection is lost or the server never says how the program ended. */
  readonly exit: Promise<ExitStatus>
  /** @default 'SIGTERM' */
  kill(signal?: NodeJS.Signals): void
  /** Its terminal, if it has one, is of another size now; it gets SIGWINCH. */
  resize(size: WindowSize): void
}

export async function spawn(
  opener: ChannelOpener,
  argv: readonly string[],
  { signal, setup, tty }: SpawnOptions = {},
): Promise<RemoteProcess> {
  signal?.throwIfAborted()
  const opening = opener.openCommand(shellCommand(argv, setup), tty, (stream, channel) => ({
    stream,
    channel,
    exit: exitOf(stream, channel, { opener, argv }),
  }))
  const { stream, channel, exit } = await untilAborted(opening, signal)
  const kill = (name: NodeJS.Signals = 'SIGTERM') => sendSignal(channel, name)
  const abort = () => {
    kill('SIGKILL')
    stream.destroy(signal?.reason)
  }
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort, { once: true })
  stream.once('close', () => signal?.removeEventListener('abort', abort))
  const resize = ({ columns, rows }: WindowSize) => void channel.setWindow(rows, columns, 0, 0)
  return { stdin: stream, stdout: stream, stderr: channel.stderr, exit, kill, resize }
}

interface Started {
  readonly stream: ChannelStream
  readonly channel: ClientChannel
  readonly exit: Promise<ExitStatus>
}

/** A guest that hangs must not hang who waits for it: what it starts too late is killed then. */
async function untilAborted(opening: Promise<Started>, signal: AbortSignal | undefined): Promise<Started> {
  if (signal === undefined) return opening
  try {
    return await orAborted(opening, signal)
  } catch (thrown) {
    opening.then(
      ({ stream, channel }) => {
        sendSignal(channel, 'SIGKILL')
        stream.destroy()
      },
      () => {},
    )
    throw thrown
  }
}

function exitOf(
  stream: ChannelStream,
  channel: ClientChannel,
  { opener, argv }: { opener: ChannelOpener; argv: readonly string[] },
): Promise<ExitStatus> {
  const exit = new Promise<ExitStatus>((resolve, reject) => {
    channel.once('exit', (code: number | null, name?: NodeJS.Signals) => {
      if (code !== null) resolve({ exitCode: code })
      else if (name !== undefined) resolve({ exitCode: 128 + (constants.signals[name] ?? 0), signal: name })
    })
    stream.once('error', reject)
    stream.once('close', () =>
      reject(
        opener.ended.reason ??
          new SshExecFailedError({
            what: `the server did not say how ${argv[0]} ended`,
            entry: opener.entry,
            remedy: 'read the console of the virtual machine: it may be out of memory',
          }),
      ),
    )
  })
  // Who does not wait for the exit sees the error on the streams.
  exit.catch(() => {})
  return exit
}

/** What is kept in memory of each of the two outputs. */
const OUTPUT_MAX_BYTES = 64 * 1024 * 1024

export interface ExecOptions extends SpawnOptions {
  /** What the program reads. @default nothing */
  readonly stdin?: string | Uint8Array | Readable | undefined
  /** Gets the output as it comes, and is not ended; the result then has none of it. @default it is kept */
  readonly stdout?: Writable | undefined
  /** As `stdout`. */
  readonly stderr?: Writable | undefined
}

export interface ExecResult extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end.
 * @throws SshOutputTooLongError for more than 64 MiB of an output that is kept; SshExecFailedError; the signal's reason; what a stream that
 * was given fails with
 */
export async function exec(
  opener: ChannelOpener,
  argv: readonly string[],
  { stdin, stdout, stderr, ...options }: ExecOptions = {},
): Promise<ExecResult> {
  const remote = await spawn(opener, argv, options)
  feed(remote, stdin, options.tty)
  // The exit knows better than the streams why there is none, unless it is for what became of the output here.
  let failure: unknown
  // Before anything else hears of it, and closes the channel.
  const fail = (reason: unknown): unknown => {
    failure ??= reason
    remote.kill('SIGKILL')
    remote.stdout.destroy()
    return failure
  }
  const tooLong = () => fail(outputTooLong(argv, opener)) as Error
  const take = async (output: Readable, target: Writable | undefined): Promise<string> => {
    if (target === undefined) return await readText(output, { maxBytes: OUTPUT_MAX_BYTES, tooLong })
    const onClose = () => fail(new Error(`the stream that gets the output of ${argv[0]} was closed`))
    target.once('error', fail).once('close', onClose)
    try {
      await pipeline(output, target, { end: false })
      return ''
    } finally {
      target.off('error', fail).off('close', onClose)
    }
  }
  const outputs = Promise.all([take(remote.stdout, stdout), take(remote.stderr, stderr)])
  outputs.catch(() => {})
  try {
    const status = await remote.exit
    const [collected, errors] = await outputs
    return { ...status, stdout: collected, stderr: errors }
  } catch (thrown) {
    remote.stderr.destroy()
    throw failure ?? thrown
  }
}

function feed({ stdin: target }: RemoteProcess, source: ExecOptions['stdin'], tty: Terminal | undefined): void {
  // Dropbear hangs a terminal up when its input ends, and what the program has still to say is lost.
  const end = tty === undefined
  if (source === undefined || typeof source === 'string' || source instanceof Uint8Array) {
    if (source !== undefined) target.write(source)
    if (end) target.end()
    return
  }
  source.once('error', (error) => target.destroy(error))
  source.pipe(target, { end })
}

function outputTooLong([program]: readonly string[], { entry }: ChannelOpener): SshOutputTooLongError {
  return new SshOutputTooLongError({
    what: `${program} wrote more than ${OUTPUT_MAX_BYTES / 1024 ** 2} MiB`,
    entry,
    remedy: 'let it write to a file of the guest, or give exec a stream for its output',
  })
}

/**
 * One command line of which a POSIX shell makes exactly these arguments. The shell becomes the program, so that signals
 * and the way it ends are the program's own.
 * @param setup shell code before it
 * @throws SshExecFailedError when no command line can say it
 */
export function shellCommand(argv: readonly string[], setup = ''): string {
  if (argv[0] === undefined || argv[0] === '') throw impossible('it has no program', 'name the program first')
  if (argv.some((word) => word.includes('\0')))
    throw impossible('an argument has a NUL byte', 'send what is binary through stdin')
  return `${setup}exec ${argv.map(shellWord).join(' ')}`
}

/** A word of a command line that is exactly this text. */
export function shellWord(word: string): string {
  return /^[\w@%+:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function impossible(why: string, remedy: string): SshExecFailedError {
  return new SshExecFailedError({ what: `a command cannot be run in the virtual machine: ${why}`, remedy })
}
