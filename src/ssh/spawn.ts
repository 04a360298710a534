import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { orAborted } from '../lifetime/index.ts'
import { readText } from '../log/index.ts'
import type { ChannelOpener } from './channel-opener.ts'
import { type ChannelStream, sendSignal } from './channel-stream.ts'
import { SshExecFailedError, SshOutputTooLongError } from './errors.ts'

export interface SpawnOptions {
  /** Kills the program; its streams end with the signal's reason. */
  readonly signal?: AbortSignal | undefined
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
}

export async function spawn(
  opener: ChannelOpener,
  argv: readonly string[],
  { signal }: SpawnOptions = {},
): Promise<RemoteProcess> {
  signal?.throwIfAborted()
  const opening = opener.openCommand(shellCommand(argv), (stream, channel) => ({
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
  return { stdin: stream, stdout: stream, stderr: channel.stderr, exit, kill }
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

export interface ExecOptions {
  /** What the program reads. @default nothing */
  readonly stdin?: string | Uint8Array | Readable | undefined
  /** Kills the program and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export interface ExecResult extends ExitStatus {
  readonly stdout: string
  readonly stderr: string
}

/**
 * Runs a program to its end.
 * @throws SshOutputTooLongError for more than 64 MiB of one output; SshExecFailedError; the signal's reason
 */
export async function exec(
  opener: ChannelOpener,
  argv: readonly string[],
  { stdin, signal }: ExecOptions = {},
): Promise<ExecResult> {
  const remote = await spawn(opener, argv, { signal })
  if (stdin === undefined || typeof stdin === 'string' || stdin instanceof Uint8Array) remote.stdin.end(stdin)
  else {
    stdin.once('error', (error) => remote.stdin.destroy(error))
    stdin.pipe(remote.stdin)
  }
  let tooLong: SshOutputTooLongError | undefined
  const onTooLong = () => {
    remote.kill('SIGKILL')
    remote.stdout.destroy()
    tooLong ??= outputTooLong(argv, opener)
    return tooLong
  }
  const said = (stream: Readable) => readText(stream, { maxBytes: OUTPUT_MAX_BYTES, tooLong: onTooLong })
  const outputs = Promise.all([said(remote.stdout), said(remote.stderr)])
  // The exit knows better than the streams why there is none.
  outputs.catch(() => {})
  try {
    const status = await remote.exit
    const [stdout, stderr] = await outputs
    return { ...status, stdout, stderr }
  } catch (thrown) {
    throw tooLong ?? thrown
  }
}

function outputTooLong([program]: readonly string[], { entry }: ChannelOpener): SshOutputTooLongError {
  return new SshOutputTooLongError({
    what: `${program} wrote more than ${OUTPUT_MAX_BYTES / 1024 ** 2} MiB`,
    entry,
    remedy: 'let it write to a file of the guest, or start it with spawn, which gives its output as a stream',
  })
}

/**
 * One command line of which a POSIX shell makes exactly these arguments. The shell becomes the program, so that signals
 * and the way it ends are the program's own.
 * @throws SshExecFailedError when no command line can say it
 */
export function shellCommand(argv: readonly string[]): string {
  if (argv[0] === undefined || argv[0] === '') throw impossible('it has no program', 'name the program first')
  if (argv.some((word) => word.includes('\0')))
    throw impossible('an argument has a NUL byte', 'send what is binary through stdin')
  return `exec ${argv.map(quote).join(' ')}`
}

function quote(word: string): string {
  return /^[\w@%+:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function impossible(why: string, remedy: string): SshExecFailedError {
  return new SshExecFailedError({ what: `a command cannot be run in the virtual machine: ${why}`, remedy })
}
