import { constants } from 'node:os'
import type { Readable, Writable } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { orAborted } from '../lifetime/index.ts'
import type { ChannelOpener } from './channel-opener.ts'
import type { ChannelStream } from './channel-stream.ts'
import { SshExecFailedError } from './errors.ts'
import { shellCommand } from './quote.ts'
import { sendSignal } from './ssh2-internals.ts'

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
