import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { recallVerdict, rememberVerdict, verdictFile } from './remembered.ts'

const verdict = {
  kvm: 'fails',
  reason: "the engine's machine has no /dev/kvm",
  counterKhz: 2_596_128,
  about: 'machine',
} as const
let directory: string
let file: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-verdict-'))
  file = verdictFile(directory, ['image', 'engine', 'boot'])
})

afterEach(() => rm(directory, { recursive: true }))

test('what was remembered is recalled, and nothing else lies about', async () => {
  expect(await recallVerdict(file)).toBeUndefined()
  await rememberVerdict(file, verdict)
  expect(await recallVerdict(file)).toEqual(verdict)
  expect(await readdir(dirname(file))).toHaveLength(1)
})

test('another image, engine or boot has a verdict of its own', () => {
  const others = [
    ['image2', 'engine', 'boot'],
    ['image', 'engine2', 'boot'],
    ['image', 'engine', 'boot2'],
    ['imageengine', 'boot'],
  ]
  expect(new Set([file, ...others.map((key) => verdictFile(directory, key))]).size).toBe(5)
})

test.each([
  '',
  '{"kvm":',
  '{"kvm":"perhaps","reason":"","counterKhz":1}',
  JSON.stringify({ ...verdict, counterKhz: 0 }),
])('a file that holds %j is no verdict', async (text) => {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  expect(await recallVerdict(file)).toBeUndefined()
})
