import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import { reasonOf, TestkernelsError } from '../errors/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { attemptConnect } from './attempt.ts'
import { createConnection, type SshConnection } from './connection.ts'
import { SshConnectFailedError } from './errors.ts'
import type { SshKeyPair } from './keys.ts'

const firstRetryMs = 20
const longestRetryMs = 250

export interface SshConnectOptions {
  /** Opens the stream that the server is at the other end of; called for each attempt. */
  readonly dial: (signal: AbortSignal) => Promise<Duplex>
  /** Where that is; for messages. */
  readonly server: string
  readonly user: string
  /** The 32 bytes of the only host key that is accepted. */
  readonly hostPublicKey: Uint8Array
  readonly clientKey: SshKeyPair
  /** Ends the attempts: put the deadline of the boot here. Until then a server that is not up yet is asked again. */
  readonly signal: AbortSignal
  readonly log?: Logger | undefined
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
  /** A server that leaves four questions of this distance unanswered is lost. @default 15_000 */
  readonly keepaliveIntervalMs?: number | undefined
}

/**
 * Connects and authenticates, again and again until the server is up.
 * @throws SshConnectFailedError when the signal aborted before; its cause is the signal's reason
 * @throws SshHostKeyMismatchError, SshAuthFailedError at once
 */
export async function connectSsh(options: SshConnectOptions): Promise<SshConnection> {
  const { server, signal, entry, log = silentLogger, keepaliveIntervalMs = 15_000 } = options
  const start = performance.now()
  let attempts = 0
  let last: unknown
  try {
    const ready = await pRetry(
      () => {
        attempts++
        return attemptConnect({ ...options, keepaliveIntervalMs })
      },
      {
        retries: Number.POSITIVE_INFINITY,
        minTimeout: firstRetryMs,
        maxTimeout: longestRetryMs,
        factor: 1.5,
        signal,
        shouldRetry: ({ error }) => !(error instanceof TestkernelsError),
        onFailedAttempt: ({ error }) => {
          if (signal.aborted) return
          if (reasonOf(error) !== reasonOf(last)) log.debug(`ssh to ${server}: ${reasonOf(error)}`)
          last = error
        },
      },
    )
    log.debug(`ssh connected after ${Math.round(performance.now() - start)} ms, ${attempts} attempts`)
    return createConnection({ ...ready, server, entry, log })
  } catch (thrown) {
    if (!signal.aborted) throw thrown
    const lastReason = last === undefined ? '' : `; the last of ${attempts} attempts: ${reasonOf(last)}`
    throw new SshConnectFailedError({
      what: `no SSH connection to ${server}${lastReason}`,
      entry,
      remedy: 'read the console of the virtual machine: its SSH server did not start, or has no memory left',
      cause: signal.reason,
    })
  }
}
