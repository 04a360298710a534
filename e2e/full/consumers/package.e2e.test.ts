// What `npm publish` would send.
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Consumer, packTarball, root } from './consumer.ts'

const run = promisify(execFile)
let directory: string
let tarball: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tk-package-'))
  tarball = await packTarball(directory)
})

afterAll(() => rm(directory, { recursive: true, force: true }))

test('what it exports is found, with its types, by whoever imports or requires it', async () => {
  const bin = (name: string) => join(root, 'node_modules/.bin', name)
  await run(bin('publint'), ['--strict', tarball])
  // Node requires ES modules from the oldest version that we support on.
  await run(bin('attw'), [tarball, '--profile', 'node16', '--ignore-rules', 'cjs-resolves-to-esm'])
})

test('it has what is run, and nothing of its tests', async () => {
  const { stdout } = await run('tar', ['--list', '--gzip', '--file', tarball])
  const files = stdout.trim().split('\n')
  expect(files.filter((file) => /\.test\.|\/testing\/|\.map$/.test(file))).toEqual([])
  const outside = files.filter((file) => !/^package\/(dist|images)\//.test(file)).toSorted()
  expect(outside).toEqual(['package/LICENSE', 'package/README.md', 'package/package.json'])
})

test('a plain script, installed without any script of a package: no native code is built, and none is needed', async () => {
  await using consumer = await Consumer.install('script', [], ['--ignore-scripts', '--omit=optional', '--omit=peer'])
  expect(await consumer.installed()).not.toContain('cpu-features')
  await using program = await consumer.run('../info.mjs', [])
  expect(await program.program.exit, program.program.stderr).toEqual({ code: 0, signal: null })
  expect(program.program.stdout).toBe('by-hand has cgroup v1\n')
  await program.gone()
})
