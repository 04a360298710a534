import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import ssh2, { type Client } from 'ssh2'
import { startDeadline } from '../lifetime/index.ts'
import { algorithms } from './algorithms.ts'
import { SshAuthFailedError, SshConnectFailedError, SshHostKeyMismatchError } from './errors.ts'
import { fingerprint, opensshPrivateKey, publicKeyBlob, type SshKeyPair } from './keys.ts'

/** A guest that boots under emulation may take seconds over the key exchange. */
const handshakeTimeoutMs = 15_000
const keepaliveCountMax = 4

export interface AttemptOptions {
  readonly dial: (signal: AbortSignal) => Promise<Duplex>
  readonly server: string
  readonly user: string
  readonly hostPublicKey: Uint8Array
  readonly clientKey: SshKeyPair
  readonly signal: AbortSignal
  readonly entry?: string | undefined
  readonly keepaliveIntervalMs: number
}

/** A client that is authenticated, and the stream below it. */
export interface ReadyClient {
  readonly client: Client
  readonly stream: Duplex
}

/** Tries once to connect. Rejects with an error of ours where another try cannot help, with the plain cause otherwise. */
export async function attemptConnect(options: AttemptOptions): Promise<ReadyClient> {
  const { dial, server, signal, entry } = options
  signal.throwIfAborted()
  using ready = startDeadline({
    ms: handshakeTimeoutMs,
    onPassed: () => new Error(`the SSH server at ${server} was silent for ${handshakeTimeoutMs} ms`),
    signal,
  })
  const stream = await dial(ready.signal)
  const client = new ssh2.Client()
  let shownHostKey: Buffer | undefined
  try {
    await new Promise<void>((resolve, reject) => {
      if (ready.signal.aborted) reject(ready.signal.reason)
      ready.signal.addEventListener('abort', () => reject(ready.signal.reason))
      client.once('ready', resolve)
      client.once('error', reject)
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
        keepaliveInterval: options.keepaliveIntervalMs,
        keepaliveCountMax,
      })
    })
    return { client, stream }
  } catch (thrown) {
    // Errors that ssh2 emits while it goes down have no reader any more, and without a listener they end the process.
    client.on('error', () => {})
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
