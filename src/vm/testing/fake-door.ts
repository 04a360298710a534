import type { Socket } from 'node:net'
import { type FakeCredentials, serveDockerd, serveSsh } from './fake-sshd.ts'

/** Serves one connection to the guest's end of the door (images/door/guest.c): `SECRET unix PATH` or `SECRET tcp PORT`, a line. */
export function serveDoor(socket: Socket, credentials: FakeCredentials): void {
  const take = () => {
    const line = readLine(socket)
    if (line === undefined) return
    socket.off('readable', take)
    const [secret = '', kind] = line.split(' ')
    if (!credentials.isAtTheDoor(secret)) return void socket.destroy()
    socket.write('ok\n')
    if (kind === 'unix') serveDockerd(socket)
    else serveSsh(socket, credentials)
  }
  socket.on('readable', take)
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
