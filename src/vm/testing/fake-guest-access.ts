import { createServer, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import ssh2, { type Connection } from 'ssh2'
import { opensshPrivateKey } from '../../ssh/index.ts'

/** A directory of the owner's machine that a guest is to have: the connection is its kernel's. */
export interface FakeMount {
  /** As the door is told them: `rw PATH`. */
  readonly request: string
  readonly socket: Socket
}

/**
 * Serves one connection to the guest's end of the door (images/door/guest.c): `SECRET unix PATH`, `SECRET tcp PORT`, or `SECRET rw PATH` for a
 * directory, a line. @param mount answers for a directory, as images/door/share.c does
 */
export function serveDoor(socket: Socket, credentials: FakeCredentials, mount: (mount: FakeMount) => string): void {
  const take = () => {
    const line = readLine(socket)
    if (line === undefined) return
    socket.off('readable', take)
    const [secret = '', kind] = line.split(' ')
    if (!credentials.isAtTheDoor(secret)) return void socket.destroy()
    if (kind === 'ro' || kind === 'rw') {
      const request = line.slice(secret.length + 1)
      return void socket.write(`${mount({ request, socket })}\n`)
    }
    socket.write('ok\n')
    if (kind === 'unix') serveDockerd(socket)
    else serveSsh(socket, credentials)
  }
  socket.on('readable', take)
}

/** Opens a port of the owner's machine for a guest (images/door/host-ports.c), to which nobody connects. */
export function serveHostPorts(socket: Socket, onPort: (port: number) => void): void {
  socket.once('data', (line: Buffer) => {
    onPort(Number(line))
    socket.write('listening\n')
  })
}

/** What is behind the line stays in the socket. */
function readLine(socket: Socket): string | undefined {
  const piece: Buffer | null = socket.read()
  const end = piece?.indexOf('\n') ?? -1
  if (piece === null || end < 0) {
    if (piece !== null) socket.unshift(piece)
    return undefined
  }
  if (end + 1 < piece.length) socket.unshift(piece.subarray(end + 1))
  return piece.toString('utf8', 0, end)
}

/** What a guest knows its owner by, as it comes over the control port. */
export class FakeCredentials {
  #hostKey: Buffer | undefined
  #owner: string | undefined
  #doorSecret: string | undefined

  take(word: string, rest: string): void {
    if (word === 'hostkey') this.#hostKey = Buffer.from(rest, 'hex')
    if (word === 'authorize') this.#owner = rest.split(' ')[1]
    if (word === 'door') this.#doorSecret = rest
    if (word === 'forget') this.#hostKey = this.#doorSecret = undefined
  }

  /** The private host key as ssh2 reads it, from Dropbear's form of it: its type, and seed and public key behind each other. */
  get hostKey(): string | undefined {
    const pair = this.#hostKey?.subarray(-64)
    return pair && opensshPrivateKey({ seed: pair.subarray(0, 32), publicKey: pair.subarray(32) })
  }

  isAtTheDoor(secret: string): boolean {
    return secret === this.#doorSecret
  }

  isOwner(key: Buffer): boolean {
    return key.toString('base64') === this.#owner
  }
}

/** Serves one connection to a guest's SSH server: its dockerd behind a socket, and commands that succeed. */
export function serveSsh(socket: Socket, credentials: FakeCredentials): void {
  const { hostKey } = credentials
  if (hostKey === undefined) return void socket.destroy()
  const server = new ssh2.Server({ hostKeys: [hostKey] }, (client: Connection) => {
    client.on('error', () => {})
    client.on('authentication', (request) => {
      if (request.method === 'publickey' && credentials.isOwner(request.key.data)) request.accept()
      else request.reject(['publickey'])
    })
    client.on('session', (accept) => {
      accept().on('exec', (run, _, { command }) => {
        const channel = run()
        if (command.includes('/proc/kcore')) channel.write(LOADED)
        channel.exit(0)
        channel.end()
      })
    })
    client.on('openssh.streamlocal', (accept) => serveDockerd(accept()))
  })
  server.injectSocket(socket)
}

/** Where a guest's kernel is, and its modules, one of which is compressed. */
const LOADED = `KERNELOFFSET=1a00000
overlay/sections/.text:0xffffffffc0203000
overlay/sections/.data..read_mostly:0xffffffffc0210080
provoke/sections/.text:0xffffffffc0300000
nf_tables/sections/.text:0xffffffffc0400000
silent/sections/.text:0x0000000000000000
./kernel/fs/overlayfs/overlay.ko.xz
./kernel/net/netfilter/nf-tables.ko
`

/** Answers whatever dockerd is asked. */
export function serveDockerd(stream: Duplex): void {
  dockerd.emit('connection', stream)
}

const dockerd = createServer((_, response: ServerResponse) => response.end('OK'))
