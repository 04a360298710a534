import { expect, test } from 'vitest'
import { Disposals } from './disposals.ts'

test('disposes in reverse and only once', async () => {
  const done: string[] = []
  const disposals = new Disposals()
  disposals.defer('first', () => done.push('first'))
  disposals.defer('second', () => done.push('second'))
  await Promise.all([disposals.dispose(), disposals.dispose()])
  expect(done).toEqual(['second', 'first'])
})

test('a clean-up that throws does not stop the others and is named', async () => {
  const done: string[] = []
  const disposals = new Disposals()
  disposals.defer('container', () => done.push('container'))
  disposals.defer('socket', () => {
    throw new Error('busy')
  })
  await expect(disposals.dispose()).rejects.toThrow('cannot dispose socket')
  expect(done).toEqual(['container'])
})

test('a moved stack is disposed by its new owner', async () => {
  const done: string[] = []
  const starting = new Disposals()
  starting.defer('vm', () => done.push('vm'))
  const started = starting.move()
  await starting.dispose()
  expect(done).toEqual([])
  await started.dispose()
  expect(done).toEqual(['vm'])
})
