import { connect, type Socket } from 'node:net'
import ssh2, { type Client } from 'ssh2'
import { startDeadline } from '../lifetime/index.ts'
import { algorithms } from './algorithms.ts'
import { SshAuthFailedError, SshConnectFailedError, SshHostKeyMismatchError } from './errors.ts'
import { fingerprint, opensshPrivateKey, publicKeyBlob, type SshKeyPair } from './keys.ts'

/** A guest that is still booting drops packets, and TCP asks again only after a second: a new attempt is sooner there. */
const tcpConnectTimeoutMs = 500
/** A guest that boots under emulation may take seconds over the key exchange. */
const handshakeTimeoutMs = 15_000
const keepaliveCountMax = 4

export interface AttemptOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly hostPublicKey: Uint8Array
  readonly clientKey: SshKeyPair
  readonly signal: AbortSignal
  readonly entry?: string | undefined
  readonly keepaliveIntervalMs: number
  readonly greeted?: (() => void) | undefined
}

/** A client that is authenticated, and the socket below it. */
export interface ReadyClient {
  readonly client: Client
  readonly socket: Socket
}

/** Tries once to connect. Rejects with an error of ours where another try cannot help, with the plain cause otherwise. */
export async function attemptConnect(options: AttemptOptions): Promise<ReadyClient> {
  const { host, port, signal, entry } = options
  signal.throwIfAborted()
  const address = `${options.user}@${host}:${port}`
  const socket = connect({ host, port, noDelay: true })
  const client = new ssh2.Client()
  let shownHostKey: Buffer | undefined
  using connected = startDeadline({
    ms: tcpConnectTimeoutMs,
    onPassed: () => new Error(`${host}:${port} did not answer within ${tcpConnectTimeoutMs} ms`),
    signal,
  })
  using ready = startDeadline({
    ms: handshakeTimeoutMs,
    onPassed: () => new Error(`the SSH server at ${host}:${port} was silent for ${handshakeTimeoutMs} ms`),
    signal,
  })
  try {
    await new Promise<void>((resolve, reject) => {
      connected.signal.addEventListener('abort', () => socket.connecting && reject(connected.signal.reason))
      ready.signal.addEventListener('abort', () => reject(ready.signal.reason))
      client.once('ready', resolve)
      client.once('error', reject)
      client.once('close', () => reject(new Error(`${host}:${port} closed the connection`)))
      client.connect({
        sock: socket,
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
      // Behind ssh2's own listener: the first one lets the stream flow.
      if (options.greeted !== undefined) socket.once('data', options.greeted)
    })
    return { client, socket }
  } catch (thrown) {
    // Errors that ssh2 emits while it goes down have no reader any more, and without a listener they end the process.
    client.on('error', () => {})
    socket.destroy()
    throw explain(thrown)
  }

  function explain(thrown: unknown): unknown {
    const expected = publicKeyBlob(options.hostPublicKey)
    if (shownHostKey !== undefined && !shownHostKey.equals(expected))
      return new SshHostKeyMismatchError({
        what: `the SSH server at ${host}:${port} has the host key ${fingerprint(shownHostKey)}, not ${fingerprint(expected)}`,
        entry,
        remedy:
          'another server answers at this address, or the virtual machine did not take its new keys; start it again',
      })
    const level = thrown instanceof Error && 'level' in thrown ? thrown.level : undefined
    if (level === 'client-authentication')
      return new SshAuthFailedError({
        what: `the SSH server of ${address} does not accept the key of this run`,
        entry,
        remedy: 'the virtual machine did not take its new keys; start it again, and with --debug if it stays so',
        cause: thrown,
      })
    if (level === 'handshake')
      return new SshConnectFailedError({
        what: `no SSH connection to ${address}: the two ends do not understand each other`,
        entry,
        remedy:
          'use the SSH server that testkernels puts into the image; another one needs curve25519, ed25519 and chacha20',
        cause: thrown,
      })
    return thrown
  }
}
