import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { pack } from 'tar-stream'
import { afterEach, beforeAll, expect, test } from 'vitest'
import {
  type Engine,
  hasImage,
  importImage,
  inspectImage,
  loadImages,
  removeImage,
  saveImages,
  tagImage,
} from '../../src/engine/index.ts'
import { engineUnderTest } from './support.ts'

let engine: Engine
beforeAll(async () => {
  engine = await engineUnderTest()
})

const refs: string[] = []
const newRef = () => {
  const ref = `testkernels-e2e/images:${randomUUID()}`
  refs.push(ref)
  return ref
}
afterEach(async () => {
  for (const ref of refs.splice(0)) await removeImage(engine, ref)
})

/** The tar of a root with one file, which makes the image unlike any other. */
function root(): Readable {
  const tar = pack()
  tar.entry({ name: 'file' }, randomUUID())
  tar.finalize()
  return Readable.from(tar)
}

test('an imported image has its name and labels, and survives being saved, removed and loaded', async () => {
  const ref = newRef()
  const labels = { 'testkernels.image': 'test', quoted: 'a "b" $c \\' }
  const id = await importImage(engine, root(), { ref, labels, changes: ['CMD ["sh"]'] })
  expect(await inspectImage(engine, ref)).toMatchObject({ id, labels })

  const chunks = await (await saveImages(engine, [ref])).toArray()
  expect(await removeImage(engine, ref)).toBe('removed')
  expect(await removeImage(engine, ref)).toBe('absent')
  expect(await hasImage(engine, ref)).toBe(false)
  expect(await loadImages(engine, Readable.from(chunks))).toEqual([ref])
  expect(await hasImage(engine, ref)).toBe(true)
})

test('an image with two names is there until both are removed', async () => {
  const [first, second] = [newRef(), newRef()]
  await importImage(engine, root(), { ref: first })
  await tagImage(engine, first, second)
  await removeImage(engine, first)
  expect([await hasImage(engine, first), await hasImage(engine, second)]).toEqual([false, true])
})

test('half a root never becomes an image', async () => {
  const ref = newRef()
  async function* half() {
    yield Buffer.alloc(100_000)
    throw new Error('the disk is full')
  }
  const importing = importImage(engine, Readable.from(half(), { objectMode: false }), { ref })
  await expect(importing).rejects.toMatchObject({
    code: 'IMAGE_TRANSFER_FAILED',
    message: expect.stringContaining('the disk is full'),
  })
  expect(await hasImage(engine, ref)).toBe(false)
})

test('what is no image is not loaded, and what is not there neither saved nor tagged', async () => {
  const ref = newRef()
  await expect(loadImages(engine, Readable.from(Buffer.alloc(2_000, 'x')))).rejects.toMatchObject({
    code: 'IMAGE_TRANSFER_FAILED',
  })
  await expect(saveImages(engine, [ref])).rejects.toMatchObject({ code: 'IMAGE_TRANSFER_FAILED' })
  await expect(tagImage(engine, ref, newRef())).rejects.toMatchObject({ code: 'IMAGE_MISSING' })
})
