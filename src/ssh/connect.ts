import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import pRetry from 'p-retry'
import type { Algorithms, Client } from 'ssh2'
import { reasonOf, TestkernelsError } from '../errors/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { createConnection, type SshConnection } from './connection.ts'
import { SshAuthFailedError, SshConnectFailedError, SshHostKeyMismatchError } from './errors.ts'
import { fingerprint, opensshPrivateKey, publicKeyBlob, type SshKeyPair } from './keys.ts'

/** Not an import: ssh2 takes 40 ms to load, and a start whose guest has a door connects when SSH is first needed, if ever. */
const load = createRequire(import.meta.url)

/**
 * The few algorithms that we offer. A short list keeps the first packets small, and under emulation the key exchange is
 * the largest part of a warm start: curve25519 takes a third of the time of the post-quantum hybrids, and the two ends
 * share a machine.
 *
 * chacha20 comes first because the guest pays for the cipher too: its CPU has AES instructions only by chance, and Dropbear
 * implements chacha20 and plain AES-CTR but no GCM. GCM is for an OpenSSH server without chacha20.
 */
const algorithms = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org'],
  serverHostKey: ['ssh-ed25519'],
  cipher: ['chacha20-poly1305@openssh.com', 'aes128-gcm@openssh.com', 'aes128-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-256'],
  compress: ['none'],
} as const satisfies Algorithms

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
}

/**
 * Connects and authenticates, again and again until the server is up.
 * @throws SshConnectFailedError when the signal aborted before; its cause is the signal's reason
 * @throws SshHostKeyMismatchError, SshAuthFailedError at once
 */
export async function connectSsh(options: SshConnectOptions): Promise<SshConnection> {
  const { server, signal, entry, log = silentLogger } = options
  const start = performance.now()
  let attempts = 0
  let last: unknown
  try {
    const ready = await pRetry(
      () => {
        attempts++
        return attemptConnect(options)
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

/** A guest that boots under emulation may take seconds over the key exchange. */
const handshakeTimeoutMs = 15_000

/** A client that is authenticated, and the stream below it. */
export interface ReadyClient {
  readonly client: Client
  readonly stream: Duplex
}

/** Tries once to connect. Rejects with an error of ours where another try cannot help, with the plain cause otherwise. */
async function attemptConnect(options: SshConnectOptions): Promise<ReadyClient> {
  const { dial, server, signal, entry } = options
  signal.throwIfAborted()
  using ready = startDeadline({
    ms: handshakeTimeoutMs,
    onPassed: () => new Error(`the SSH server at ${server} was silent for ${handshakeTimeoutMs} ms`),
    signal,
  })
  const stream = await dial(ready.signal)
  const { Client } = load('ssh2') as typeof import('ssh2')
  const client = new Client()
  let shownHostKey: Buffer | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      if (ready.signal.aborted) reject(ready.signal.reason)
      ready.signal.addEventListener('abort', () => reject(ready.signal.reason))
      client.once('ready', resolve)
      // For good: ssh2 may emit several, in one turn, and goes on while it goes down. One without a listener would end the process.
      client.on('error', reject)
      client.once('close', () => reject(new Error(`${server} closed the connection`)))
      client.connect({
        // Any stream will do for ssh2, whatever its types say.
        sock: stream as Socket,
        username: options.user,
        privateKey: opensshPrivateKey(options.clientKey),
        // Without this list ssh2 asks for the methods first, which is a round trip.
        authHandler: ['publickey'],
        hostVerifier: (shown: Buffer) => {
          shownHostKey = shown
          return shown.equals(publicKeyBlob(options.hostPublicKey))
        },
        algorithms,
        // Unix sockets are an extension of OpenSSH that ssh2 otherwise keeps for servers that name themselves so.
        strictVendor: false,
        readyTimeout: 0,
        // A guest that a debugger has stopped loses nothing; of one that is lost its heartbeat hears, and ends what is open.
        keepaliveInterval: 0,
      })
    })
    return { client, stream }
  } catch (thrown) {
    stream.destroy()
    throw explain(thrown)
  }

  function explain(thrown: unknown): unknown {
    const expected = publicKeyBlob(options.hostPublicKey)
    if (shownHostKey !== undefined && !shownHostKey.equals(expected))
      return new SshHostKeyMismatchError({
        what: `the SSH server at ${server} has the host key ${fingerprint(shownHostKey)}, not ${fingerprint(expected)}`,
        entry,
        remedy: 'another server answers there, or the virtual machine did not take its new keys; start it again',
      })
    const level = thrown instanceof Error && 'level' in thrown ? thrown.level : undefined
    if (level === 'client-authentication')
      return new SshAuthFailedError({
        what: `the SSH server at ${server} does not accept the key of this run`,
        entry,
        remedy: 'the virtual machine did not take its new keys; start it again, and with --debug if it stays so',
        cause: thrown,
      })
    if (level === 'handshake')
      return new SshConnectFailedError({
        what: `no SSH connection to ${server}: the two ends do not understand each other`,
        entry,
        remedy:
          'use the SSH server that testkernels puts into the image; another one needs curve25519, ed25519 and chacha20',
        cause: thrown,
      })
    return thrown
  }
}
