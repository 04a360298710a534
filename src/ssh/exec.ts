import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { ChannelOpener } from './channel-opener.ts'
import { type ExitStatus, spawn } from './spawn.ts'

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
  const outputs = Promise.all([text(remote.stdout), text(remote.stderr)])
  // The exit knows better than the streams why there is none.
  outputs.catch(() => {})
  const status = await remote.exit
  const [stdout, stderr] = await outputs
  return { ...status, stdout, stderr }
}
