import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { readImageArgument } from './image-argument.ts'

const never = new AbortController().signal

test('takes what build printed', async () => {
  expect(await readImageArgument(Readable.from(['sha256:', '1234\n']), never)).toBe('sha256:1234')
})

test.each([
  ['', 'names no image'],
  ['\n', 'names no image'],
  ['one\ntwo\n', 'names more than one image'],
])('refuses %j', async (input, message) => {
  await expect(readImageArgument(Readable.from([input]), never)).rejects.toThrow(message)
})

test('an abort ends the wait', async () => {
  const abort = new AbortController()
  const input = new PassThrough()
  const reading = readImageArgument(input, abort.signal)
  abort.abort()
  await expect(reading).rejects.toThrow()
  expect(input.destroyed).toBe(true)
})
