import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { extract, pack } from 'tar-stream'
import { expect, test } from 'vitest'
import { cli, docker, image, scenarioDeadlineMs } from './support.ts'

const bigBytes = 24 * 1024 * 1024

test('a big upload comes back as the same big download', { timeout: scenarioDeadlineMs }, async () => {
  const bytes = randomBytes(bigBytes)
  const container = await docker().createContainer({ Image: image(), Cmd: ['true'] })
  try {
    const upload = pack()
    upload.entry({ name: 'big' }, bytes)
    upload.finalize()
    await container.putArchive(Readable.from(upload), { path: '/' })
    const download = Readable.from(await container.getArchive({ path: '/big' }))
    expect(await hashOfFirstEntry(download)).toBe(createHash('sha256').update(bytes).digest('hex'))
  } finally {
    await container.remove({ force: true })
  }
})

test('docker save and docker load move an image through the socket', { timeout: scenarioDeadlineMs }, async () => {
  const tag = `testkernels-e2e-load-${process.pid}`
  expect(await cli(['tag', image(), tag])).toMatchObject({ exitCode: 0 })
  const saved = await cli(['save', tag])
  expect(saved.exitCode, saved.stderr).toBe(0)
  expect(await cli(['image', 'rm', tag])).toMatchObject({ exitCode: 0 })
  const loaded = await cli(['load'], { stdin: saved.stdout })
  expect(loaded.exitCode, loaded.stderr).toBe(0)
  const ran = await cli(['run', '--rm', '--network=none', tag, 'echo', 'it runs'])
  expect(String(ran.stdout)).toBe('it runs\n')
  await cli(['image', 'rm', tag])
})

async function hashOfFirstEntry(tar: Readable): Promise<string> {
  const hash = createHash('sha256')
  const reader = extract()
  reader.on('entry', (_header, entry, next) => {
    pipeline(entry, hash, { end: false }).then(() => next(), next)
  })
  await pipeline(tar, reader)
  return hash.digest('hex')
}
