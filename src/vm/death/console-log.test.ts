import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConsoleLog, sweepConsoleLogs } from './console-log.ts'

let directory: string
let path: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-console-'))
  path = join(directory, 'consoles/old.log')
})

afterEach(() => rm(directory, { recursive: true }))

test('every line is in the file, the last ones in the tail', async () => {
  const console = await ConsoleLog.open(path)
  for (let n = 0; n < 300; n++) console.add(`line ${n}`)
  expect(console.tail(2)).toBe('line 298\nline 299')
  expect(console.reason).toBeUndefined()
  await console.close('keep')
  const text = await readFile(path, 'utf8')
  expect(text.startsWith('line 0\n')).toBe(true)
  expect(text.split('\n')).toHaveLength(301)
})

test('a follower gets every line from the first on, whenever it comes, until the console ends', async () => {
  const console = await ConsoleLog.open(path)
  const first = collect(console.follow())
  for (let n = 0; n < 300; n++) console.add(`line ${n}`)
  const late = collect(console.follow())
  console.add('the last')
  const expected = [...Array.from({ length: 300 }, (_, n) => `line ${n}`), 'the last']
  await expect.poll(() => late.length).toBe(301)
  await console.close('remove')
  expect(await first.done).toEqual(expected)
  expect(await late.done).toEqual(expected)
  expect(await collect(console.follow()).done).toEqual([])
})

function collect(lines: AsyncIterable<string>) {
  const got: string[] = []
  const done = (async () => {
    for await (const line of lines) got.push(line)
    return got
  })()
  return {
    done,
    get length() {
      return got.length
    },
  }
}

test('the lines around a panic explain it, however much it prints', async () => {
  const console = await ConsoleLog.open(path)
  for (let n = 0; n < 250; n++) console.add(`before ${n}`)
  console.add('[   22.6] Kernel panic - not syncing: sysrq triggered crash')
  for (let n = 0; n < 100; n++) console.add(`after ${n}`)
  await console.close('remove')
  expect(console.reason).toBe('kernel panic: sysrq triggered crash')
  const lines = console.excerpt.split('\n')
  expect(lines[0]).toBe('before 230')
  expect(lines[20]).toContain('Kernel panic')
  expect(lines.at(-1)).toBe('after 8')
})

test("our init's reason comes before the panic that follows it", async () => {
  const console = await ConsoleLog.open(path)
  console.add('testkernels: init: no disk /dev/vdc (is virtio_blk in this kernel?)')
  console.add('Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100')
  await console.close('remove')
  expect(console.reason).toBe('no disk /dev/vdc (is virtio_blk in this kernel?)')
  expect(console.excerpt).toContain('no disk')
})

test('a line that comes after the end is no error', async () => {
  const console = await ConsoleLog.open(path)
  await console.close('remove')
  console.add('late')
  await console.close('remove')
  expect(console.tail()).toBe('late')
  expect(existsSync(path)).toBe(false)
})

test('a directory that cannot be made is an error that says what to set', async () => {
  await writeFile(join(directory, 'consoles'), '')
  await expect(ConsoleLog.open(path)).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    remedy: expect.stringContaining('TESTKERNELS_CACHE_DIR'),
  })
})

test('logs that nobody will read any more are swept, newer ones are not', async () => {
  await writeFile(join(directory, 'old.log'), '')
  await writeFile(join(directory, 'new.log'), '')
  const lastMonth = new Date(Date.now() - 30 * 24 * 3_600_000)
  await utimes(join(directory, 'old.log'), lastMonth, lastMonth)
  await sweepConsoleLogs(directory)
  expect(await readdir(directory)).toEqual(['new.log'])
  await sweepConsoleLogs(join(directory, 'nothing-there'))
})
