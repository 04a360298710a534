import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { cli, image, scenarioDeadlineMs, socketPath } from './support.ts'

const clients = 60
/** Other tests may open connections at the same time; this many fewer than the clients of one kind. */
const strangers = 10

/** What opens HTTP/2; a server closes a connection that is silent. The frame behind it has no settings. */
const http2Preface = `PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'\0\0\0\x04\0\0\0\0\0'}`

// Not an attached container: dockerd itself keeps such a connection until its garbage collector finds it, forward or not.
const kinds = [
  { request: 'GET /_pi', isAnswered: false, followUp: '' },
  { request: 'GET /events HTTP/1.1\r\nHost: docker\r\n\r\n', isAnswered: true, followUp: '' },
  {
    request: 'POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    isAnswered: true,
    followUp: http2Preface,
  },
]

test('clients that vanish leave no connection in the guest', { timeout: scenarioDeadlineMs }, async () => {
  const sockets = Array.from({ length: clients }, () => connect(socketPath()))
  await Promise.all(sockets.map((socket) => once(socket, 'connect')))
  const used = sockets.map(async (socket, index) => {
    const { request, isAnswered, followUp } = kinds[index % kinds.length] as (typeof kinds)[number]
    socket.write(request)
    if (isAnswered) await once(socket, 'data')
    socket.write(followUp)
  })
  await Promise.all(used)
  const open = await connectionsOfDockerd()
  expect(open).toBeGreaterThanOrEqual(clients - strangers)
  for (const socket of sockets) socket.destroy()
  await expect
    .poll(connectionsOfDockerd, { timeout: scenarioDeadlineMs / 2, interval: 500 })
    .toBeLessThanOrEqual(open - clients + strangers)
})

/** How many connections dockerd has accepted and not closed, as the guest's kernel counts them. */
async function connectionsOfDockerd(): Promise<number> {
  const { stdout } = await cli(['run', '--rm', '--network=host', image(), 'cat', '/proc/net/unix'])
  const connected = /^\S+ \S+ \S+ \S+ \S+ 03 .*\/run\/docker\.sock$/
  return String(stdout)
    .split('\n')
    .filter((line) => connected.test(line)).length
}
