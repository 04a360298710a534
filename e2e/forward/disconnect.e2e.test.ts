import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { cli, docker, image, scenarioDeadlineMs, socketPath } from './support.ts'

const clients = 60
/** Other tests may open connections at the same time; this many fewer than the clients of one kind. */
const strangers = 10

test('clients that vanish leave no connection in the guest', { timeout: scenarioDeadlineMs }, async () => {
  const container = await docker().createContainer({
    Image: image(),
    Cmd: ['sleep', '1000'],
    OpenStdin: true,
    HostConfig: { NetworkMode: 'none' },
  })
  try {
    await container.start()
    const attach = `POST /containers/${container.id}/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n`
    const requests = ['GET /_pi', 'GET /events HTTP/1.1\r\nHost: docker\r\n\r\n', attach]
    const sockets = Array.from({ length: clients }, () => connect(socketPath()))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    for (const [index, socket] of sockets.entries()) socket.write(requests[index % requests.length] as string)
    const answering = sockets.filter((_, index) => requests[index % requests.length] === attach)
    await Promise.all(answering.map((socket) => once(socket, 'data')))
    const open = await connectionsOfDockerd()
    expect(open).toBeGreaterThanOrEqual(clients)
    for (const socket of sockets) socket.destroy()
    await expect
      .poll(connectionsOfDockerd, { timeout: scenarioDeadlineMs / 2, interval: 500 })
      .toBeLessThanOrEqual(open - clients + strangers)
  } finally {
    await container.remove({ force: true })
  }
})

/** How many connections dockerd has accepted and not closed, as the guest's kernel counts them. */
async function connectionsOfDockerd(): Promise<number> {
  const { stdout } = await cli(['run', '--rm', '--network=host', image(), 'cat', '/proc/net/unix'])
  const connected = /^\S+ \S+ \S+ \S+ \S+ 03 .*\/run\/docker\.sock$/
  return String(stdout)
    .split('\n')
    .filter((line) => connected.test(line)).length
}
