// The fuzzer itself: what it is for it finds.
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Fuzzing, fuzz } from './fuzz.ts'

let keptIn: string
beforeEach(async () => {
  keptIn = await mkdtemp(join(tmpdir(), 'tk-kept-'))
})
afterEach(() => rm(keptIn, { recursive: true }))

const target = (take: Fuzzing['take']): Fuzzing => ({ name: 'a target', seeds: ['{"a":1}'], take, keptIn, seconds: 30 })

test('an input that fails is found, kept as small as it can be, and taken first the next time', async () => {
  const refuse = (input: Buffer) => {
    if (input.includes('}{')) throw new Error('two at once')
  }
  await expect(fuzz(target(refuse))).rejects.toThrow(/two at once[\s\S]*The input is kept in /)
  const [name = ''] = await readdir(join(keptIn, 'a-target'))
  expect(await readFile(join(keptIn, 'a-target', name), 'utf8')).toBe('{"a":1}{"a":1}')
  const taken: string[] = []
  await fuzz({ ...target((input) => void taken.push(input.toString())), seconds: 0.05 })
  expect(taken[0]).toBe('{"a":1}{"a":1}')
})

test('an input that does not come to an end is found', async () => {
  const hang = (input: Buffer) => (input.includes('}{') ? new Promise<void>(() => {}) : undefined)
  await expect(fuzz({ ...target(hang), hangMs: 20 })).rejects.toThrow(/no end within 20 ms\nThe input is kept in /)
})

test('what is thrown at nobody is found', async () => {
  const refuse = (input: Buffer) => {
    if (input.includes('}{')) void Promise.reject(new Error('unheard'))
  }
  await expect(fuzz(target(refuse))).rejects.toThrow(/unheard\nThe input is kept in /)
})
