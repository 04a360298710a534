// As many files as a large project has, to a guest and back.
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'

const DIRECTORIES = 100
const FILES = 10_000

test('10,000 files go there and back', async ({ annotate }) => {
  const directory = await mkdtemp(join(tmpdir(), 'tk-files-'))
  const [source, back] = [join(directory, 'source'), join(directory, 'back')]
  for (let at = 0; at < DIRECTORIES; at++) await mkdir(join(source, String(at)), { recursive: true })
  for (let at = 0; at < FILES; at++) await writeFile(join(source, String(at % DIRECTORIES), `f${at}`), `${at}\n`)

  await using vm = await new KernelVm({ name: 'copy', kernel: 'debian:bookworm' }).start()
  const beginMs = performance.now()
  await vm.copyTo(source, '/srv/files')
  const thereMs = performance.now()
  await vm.copyFrom('/srv/files', back)
  const seconds = (ms: number) => (ms / 1000).toFixed(1)
  await annotate(`there in ${seconds(thereMs - beginMs)} s, and back in ${seconds(performance.now() - thereMs)} s`)

  expect((await vm.exec('find . -type f | wc -l', { cwd: '/srv/files' })).stdout).toBe(`${FILES}\n`)
  expect((await readdir(back, { recursive: true })).length).toBe(FILES + DIRECTORIES)
  await rm(directory, { recursive: true })
})
