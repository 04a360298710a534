import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Duplex, PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { cli, image, scenarioDeadlineMs, socketPath } from './support.ts'

test('docker build sends its context and gives an image that runs', { timeout: scenarioDeadlineMs }, async () => {
  const context = await mkdtemp(join(tmpdir(), 'tk-build-'))
  const tag = `testkernels-e2e-build-${process.pid}`
  try {
    await writeFile(join(context, 'Dockerfile'), `FROM ${image()}\nCOPY greeting /greeting\nCMD ["cat", "/greeting"]\n`)
    await writeFile(join(context, 'greeting'), 'hello from the context')
    // The classic builder: the other one needs a plug-in that not every machine has.
    const built = await cli(['build', '--tag', tag, context], { env: { DOCKER_BUILDKIT: '0' } })
    expect(built.exitCode, built.stderr).toBe(0)
    const ran = await cli(['run', '--rm', '--network=none', tag])
    expect(String(ran.stdout)).toBe('hello from the context')
  } finally {
    await cli(['image', 'rm', '--force', tag])
    await rm(context, { recursive: true })
  }
})

test('a connection upgraded at /grpc speaks HTTP/2 with BuildKit', { timeout: scenarioDeadlineMs }, async () => {
  const socket = await upgrade('/grpc')
  const session = connectHttp2('http://docker', { createConnection: () => socket })
  const call = session.request({
    ':method': 'POST',
    ':path': '/moby.buildkit.v1.Control/ListWorkers',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  const status = new Promise((resolve, reject) => {
    session.once('error', reject)
    call.once('trailers', (trailers) => resolve(trailers['grpc-status']))
    call.once('error', reject)
  })
  // One message without fields: not compressed, of length 0.
  call.end(Buffer.alloc(5))
  const received: Buffer[] = []
  call.on('data', (chunk: Buffer) => received.push(chunk))
  expect(await status).toBe('0')
  expect(Buffer.concat(received).toString()).toContain('linux')
  session.destroy()
})

function upgrade(path: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const headers = { Connection: 'Upgrade', Upgrade: 'h2c' }
    const asked = request({ socketPath: socketPath(), path, method: 'POST', headers, agent: false })
    asked.once('upgrade', (_response, socket, head) => {
      // The server's first frames may have come with the answer.
      const readable = new PassThrough()
      readable.write(head)
      resolve(Duplex.from({ readable: socket.pipe(readable), writable: socket }))
    })
    asked.once('response', (response) => reject(new Error(`no upgrade: HTTP ${response.statusCode}`)))
    asked.once('error', reject)
    asked.end()
  })
}
