import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { splice } from './listen.ts'

/** More than the buffers of a socket and of a stream take. */
const BYTES = 20_000_000

/** Both ends of a connection, whose directions end one by one. */
async function connection(): Promise<{ readonly client: Socket; readonly local: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const client = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
  const [local] = (await once(server, 'connection')) as [Socket]
  local.on('error', () => {})
  onTestFinished(() => void client.destroy())
  return { client, local }
}

/** An end in the guest that says nothing, and takes what it is sent when `goOn` has been called. */
function slowGuest() {
  const heard: Buffer[] = []
  let goOn = () => {}
  const reads = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const remote = new Duplex({
    read() {
      this.push(null)
    },
    write(piece: Buffer, _encoding, done) {
      heard.push(piece)
      reads.then(() => done())
    },
    highWaterMark: BYTES,
  })
  return { remote, goOn, heard: () => Buffer.concat(heard).length }
}

test('what a client said last arrives, however long after its own end the guest takes it', async () => {
  const { client, local } = await connection()
  const { remote, goOn, heard } = slowGuest()
  splice(local, remote)
  const bothEnded = once(local, 'close')
  client.end(Buffer.alloc(BYTES, 'a line of text\n'))
  await bothEnded
  expect(remote.destroyed).toBe(false)
  const closed = once(remote, 'close')
  goOn()
  await closed
  expect(heard()).toBe(BYTES)
})

test('a client that breaks off ends its stream at once, whatever was still on its way', async () => {
  const { client, local } = await connection()
  const { remote, heard } = slowGuest()
  splice(local, remote)
  client.write(Buffer.alloc(BYTES / 10))
  await expect.poll(heard).toBeGreaterThan(0)
  const closed = once(remote, 'close')
  client.resetAndDestroy()
  await closed
  expect(heard()).toBeLessThan(BYTES / 10)
})
