import { spawn } from 'node:child_process'
import { connect, type NetConnectOpts } from 'node:net'
import type { AcceptConnection, RejectConnection, ServerChannel, Session } from 'ssh2'

/** Runs each command in this machine's POSIX shell. */
export function serveSession(session: Session): void {
  session.on('exec', (accept, _reject, { command }) => {
    const channel = accept()
    const program = spawn('/bin/sh', ['-c', command])
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
export function forward(
  where: NetConnectOpts,
  accept: AcceptConnection<ServerChannel>,
  reject: RejectConnection,
): void {
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
