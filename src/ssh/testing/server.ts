import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type NetConnectOpts, type Socket } from 'node:net'
import ssh2, { type AcceptConnection, type RejectConnection, type ServerChannel, type Session } from 'ssh2'
import { connectSsh, type SshConnectOptions } from '../connect.ts'
import type { SshConnection } from '../connection.ts'
import { generateKeyPair, opensshPrivateKey, publicKeyBlob, type SshKeyPair } from '../keys.ts'

/** An SSH server in this process, with this machine's shell and sockets behind it. */
export interface TestServer extends AsyncDisposable {
  readonly port: number
  /** Connects to it. */
  readonly dial: () => Promise<Socket>
  readonly hostKey: SshKeyPair
  readonly clientKey: SshKeyPair
  /** Authentication methods that clients tried, in order. */
  readonly triedMethods: readonly string[]
  /** What came and went, such as `Inbound: CHANNEL_CLOSE (r:0)` and `Outbound: Sending CHANNEL_DATA (r:0, 512)`. */
  readonly messages: readonly string[]
  /** What terminals programs were given, and what became of their windows: `xterm 80x24`, `100x30`. */
  readonly terminals: readonly string[]
  /** Ends every connection without a word, as a VM that dies. */
  cut(): void
}

export interface TestServerOptions {
  /** Connections that are dropped before the first is served, as by a guest that still boots. @default 0 */
  readonly dropFirst?: number
  /** Whether commands are run, or asked for in vain, as of a guest that hangs. @default 'run' */
  readonly commands?: 'run' | 'hang'
}

/** Connects as its one client. @param signal bounds the connecting */
export function connectToTestServer(
  { dial, hostKey, clientKey }: TestServer,
  signal: AbortSignal,
  more: Partial<SshConnectOptions> = {},
): Promise<SshConnection> {
  const hostPublicKey = hostKey.publicKey
  return connectSsh({ dial, server: 'the test server', user: 'root', hostPublicKey, clientKey, signal, ...more })
}

export async function startTestServer({
  dropFirst = 0,
  commands = 'run',
}: TestServerOptions = {}): Promise<TestServer> {
  const hostKey = generateKeyPair()
  const clientKey = generateKeyPair()
  const sockets = new Set<Socket>()
  const triedMethods: string[] = []
  const messages: string[] = []
  const terminals: string[] = []
  let accepted = 0

  const debug = (line: string) => {
    const message = /(In|Out)bound: .*/.exec(line)?.[0]
    if (message !== undefined) messages.push(message)
  }
  const ssh = new ssh2.Server({ hostKeys: [opensshPrivateKey(hostKey)], debug }, (client) => {
    client.on('error', () => {})
    client.on('authentication', (request) => {
      triedMethods.push(request.method)
      const isOurs = request.method === 'publickey' && request.key.data.equals(publicKeyBlob(clientKey.publicKey))
      if (isOurs) request.accept()
      else request.reject(['publickey'])
    })
    client.on('session', (accept) => {
      if (commands === 'run') serveSession(accept(), terminals)
    })
    client.on('openssh.streamlocal', (accept, reject, { socketPath }) => forward({ path: socketPath }, accept, reject))
    client.on('tcpip', (accept, reject, { destIP, destPort }) =>
      forward({ host: destIP, port: destPort }, accept, reject),
    )
  })
  const server = createServer({ noDelay: true }, (socket) => {
    accepted++
    if (accepted <= dropFirst) {
      socket.destroy()
      return
    }
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    ssh.injectSocket(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const { port } = server.address() as AddressInfo
  return {
    port,
    dial: () => dialPort(port),
    hostKey,
    clientKey,
    triedMethods,
    messages,
    terminals,
    cut,
    async [Symbol.asyncDispose]() {
      cut()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

/** Connects to a port of this machine. */
export async function dialPort(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** Runs each command in this machine's POSIX shell, on a terminal that is only said to be one. */
function serveSession(session: Session, terminals: string[]): void {
  session.on('pty', (accept, _reject, info) => {
    // ssh2 tells the kind of the terminal, which its types leave out.
    terminals.push(`${(info as unknown as { term: string }).term} ${info.cols}x${info.rows}`)
    accept()
  })
  session.on('window-change', (accept, _reject, { cols, rows }) => {
    terminals.push(`${cols}x${rows}`)
    accept?.()
  })
  session.on('exec', (accept, _reject, { command }) => {
    const channel = accept()
    // As every SSH server does; a CI job has none of its own.
    const program = spawn('/bin/sh', ['-c', command], { env: { ...process.env, SHELL: '/bin/sh' } })
    channel.on('error', () => {})
    program.stdin.on('error', () => {})
    channel.pipe(program.stdin)
    program.stdout.pipe(channel, { end: false })
    program.stderr.pipe(channel.stderr, { end: false })
    channel.once('close', () => program.kill('SIGKILL'))
    program.once('close', (code, signal) => {
      if (signal === null) channel.exit(code ?? 1)
      else channel.exit(signal.replace(/^SIG/, ''))
      channel.end()
    })
  })
}

/** Connects a channel to a socket of this machine. */
function forward(where: NetConnectOpts, accept: AcceptConnection<ServerChannel>, reject: RejectConnection): void {
  const socket = connect({ ...where, allowHalfOpen: true })
  socket.once('error', reject)
  socket.once('connect', () => {
    socket.off('error', reject)
    const channel = accept()
    socket.on('error', () => channel.close())
    socket.pipe(channel)
    channel.pipe(socket)
    channel.once('close', () => socket.destroy())
  })
}
