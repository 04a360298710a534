import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
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

test('the file has a limit and says so, and what comes after it is still known', async () => {
  const console = await ConsoleLog.open(path, { fileBytes: 1_000 })
  for (let n = 0; n < 10_000; n++) console.add(`a line of the guest's ${n}`)
  console.add('Kernel panic - not syncing: late')
  await console.close('keep')
  const text = await readFile(path, 'utf8')
  expect(text.length).toBeLessThan(1_200)
  expect(text).toMatch(/\n\[testkernels: the rest is missing: the guest has said more than 1000 bytes\]\n$/)
  expect(console.reason).toBe('kernel panic: late')
})

test('a disk that is slower than the guest costs lines, which are counted, and no memory', async () => {
  const console = await ConsoleLog.open(path, { waitingBytes: 1_000 })
  // Nothing is written before this turn of the event loop is over.
  for (let n = 0; n < 1_000; n++) console.add(`${n}`.padStart(99))
  await expect.poll(async () => (await readFile(path, 'utf8')).length).toBeGreaterThan(1_000)
  console.add('next')
  await console.close('keep')
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  const [, missing] = /^\[testkernels: (\d+) lines are missing/.exec(lines.at(-2) ?? '') ?? []
  expect(lines.length - 2 + Number(missing)).toBe(1_000)
  expect(lines.at(-1)).toBe('next')
})

test('who follows and does not take gets the newest, and hears of the rest', async () => {
  const console = await ConsoleLog.open(path)
  const following = console.follow()
  const first = following.next()
  console.add('first')
  expect(await first).toEqual({ value: 'first', done: false })
  for (let n = 0; n < 100_000; n++) console.add(`line ${n}`)
  await console.close('remove')
  const rest: string[] = []
  for await (const line of following) rest.push(line)
  const [, missing] = /^\[testkernels: (\d+) lines are missing/.exec(rest[0] ?? '') ?? []
  expect(rest.length - 1 + Number(missing)).toBe(100_000)
  expect(rest.length).toBeLessThan(10_002)
  expect(rest.at(-1)).toBe('line 99999')
})

test('the file has what the guest said, and nobody else reads it; who follows sees no escapes', async () => {
  await mkdir(join(directory, 'consoles'), { mode: 0o755 })
  const console = await ConsoleLog.open(path)
  const followed = collect(console.follow())
  console.add('\x1b[2J\x1b]0;title\x07')
  await console.close('keep')
  expect(await followed.done).toEqual(['\\x1b[2J\\x1b]0;title\\x07'])
  expect(await readFile(path, 'utf8')).toBe('\x1b[2J\x1b]0;title\x07\n')
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect((await stat(join(directory, 'consoles'))).mode & 0o777).toBe(0o700)
})
