import { spawnSync } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeRunDirectory, sweepRunDirectories } from './run-directory.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-run-'))
})

afterEach(() => rm(directory, { recursive: true }))

test('is private, and named after this process', async () => {
  const path = await makeRunDirectory(join(directory, 'made/on/demand'))
  expect((await stat(path)).mode & 0o777).toBe(0o700)
  expect(basename(path)).toMatch(new RegExp(`^testkernels-${process.pid}-`))
})

test('a place where no socket fits is refused', async () => {
  await expect(makeRunDirectory(join(directory, 'x'.repeat(90)))).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    message: expect.stringContaining('too long a path'),
  })
  expect(await readdir(directory)).toEqual([])
})

test('a place that cannot be written is refused, with the cause', async () => {
  await writeFile(join(directory, 'file'), '')
  await expect(makeRunDirectory(join(directory, 'file'))).rejects.toMatchObject({
    code: 'DIRECTORY_UNUSABLE',
    message: expect.stringMatching(/cannot be written\n {2}cause: .*\n {2}remedy: set TESTKERNELS_RUN_DIR/),
  })
})

test('what dead processes left is swept; living ones and strangers keep theirs', async () => {
  const { pid: dead } = spawnSync('true')
  const names = [`testkernels-${dead}-aB3dEf`, `testkernels-${process.pid}-aB3dEf`, 'testkernels-mine', 'other']
  for (const name of names) await mkdir(join(directory, name))
  await sweepRunDirectories(directory)
  expect((await readdir(directory)).sort()).toEqual(names.slice(1).sort())
  await sweepRunDirectories(join(directory, 'nothing-there'))
})
