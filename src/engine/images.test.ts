import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import Docker from 'dockerode'
import { expect, test } from 'vitest'
import type { EngineClient } from './connect.ts'
import { importImage, loadImages } from './images.ts'

/** An engine that takes images, and counts the connections that it has seen. */
async function takingImages() {
  const bodies: string[] = []
  let connections = 0
  const server = createServer(async (request: IncomingMessage, response) => {
    bodies.push(await text(request))
    response.end(
      JSON.stringify(request.url?.includes('/load') ? { stream: 'Loaded image: a:b\n' } : { status: 'sha256:1' }),
    )
  })
  server.on('connection', () => connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const engine = { docker: new Docker({ host: '127.0.0.1', port }) } as EngineClient
  return {
    engine,
    bodies,
    seen: () => connections,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test.each([
  ['loaded', (engine: EngineClient, tar: Readable) => loadImages(engine, tar), ['a:b']],
  ['imported', (engine: EngineClient, tar: Readable) => importImage(engine, tar, { ref: 'a:b' }), 'sha256:1'],
] as const)('a tar that is %s takes a connection when there is something to send', async (_, transfer, answer) => {
  await using fake = await takingImages()
  const tar = new PassThrough()
  const transferring = transfer(fake.engine, tar)
  await new Promise((resolve) => setImmediate(resolve))
  expect(fake.seen()).toBe(0)
  tar.write('first, ')
  tar.end('last')
  expect(await transferring).toEqual(answer)
  expect(fake.bodies).toEqual(['first, last'])
})

test('a tar that is there, and one that is empty, are sent', async () => {
  await using fake = await takingImages()
  await loadImages(fake.engine, Readable.from(['there']))
  await loadImages(fake.engine, Readable.from([]))
  expect(fake.bodies).toEqual(['there', ''])
})

test('a tar that fails before its first byte is the reason', async () => {
  await using fake = await takingImages()
  const tar = new PassThrough()
  const transferring = importImage(fake.engine, tar, { ref: 'a:b' })
  tar.destroy(new Error('mmdebstrap ended with status 1'))
  await expect(transferring).rejects.toMatchObject({
    code: 'IMAGE_TRANSFER_FAILED',
    cause: expect.objectContaining({ message: 'mmdebstrap ended with status 1' }),
  })
})

test('one that is called off before its first byte ends', async () => {
  await using fake = await takingImages()
  const off = new AbortController()
  const transferring = loadImages(fake.engine, new PassThrough(), { signal: off.signal })
  off.abort(new Error('called off'))
  await expect(transferring).rejects.toThrow('called off')
})
