import { createHash, randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { cli, docker, image, scenarioDeadlineMs } from './support.ts'

const bigBytes = 20_000_000
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

test('docker run -i carries a big input in and out unchanged', { timeout: scenarioDeadlineMs }, async () => {
  const stdin = randomBytes(bigBytes)
  const { exitCode, stdout, stderr } = await cli(['run', '-i', '--rm', '--network=none', image(), 'cat'], { stdin })
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(sha256(stdout)).toBe(sha256(stdin))
})

test('an attached container answers after its input has ended', { timeout: scenarioDeadlineMs }, async () => {
  const container = await docker().createContainer({
    Image: image(),
    Cmd: ['sh', '-c', 'sha256sum; echo the end'],
    OpenStdin: true,
    StdinOnce: true,
    HostConfig: { NetworkMode: 'none' },
  })
  try {
    const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true })
    const stdout = new PassThrough()
    container.modem.demuxStream(stream, stdout, stdout)
    stream.once('end', () => stdout.end())
    await container.start()
    const input = randomBytes(1_000_000)
    stream.end(input)
    expect(await text(stdout)).toBe(`${sha256(input)}  -\nthe end\n`)
    expect(await container.wait()).toMatchObject({ StatusCode: 0 })
  } finally {
    await container.remove({ force: true })
  }
})

test('docker exec carries input, both outputs and the exit code', { timeout: scenarioDeadlineMs }, async () => {
  const container = await docker().createContainer({
    Image: image(),
    Cmd: ['sleep', '1000'],
    HostConfig: { NetworkMode: 'none' },
  })
  try {
    await container.start()
    const script = 'cat; echo oops >&2; exit 7'
    const result = await cli(['exec', '-i', container.id, 'sh', '-c', script], { stdin: Buffer.from('hello') })
    expect({ ...result, stdout: String(result.stdout) }).toEqual({ exitCode: 7, stdout: 'hello', stderr: 'oops\n' })
  } finally {
    await container.remove({ force: true })
  }
})
