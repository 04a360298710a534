// What is published.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { Consumer, packTarball, root } from './consumer.ts'

const run = promisify(execFile)
let tarball: string

beforeAll(async () => {
  tarball = await packTarball()
})

test('what it exports is found, with its types, by whoever imports or requires it', async () => {
  const bin = (name: string) => join(root, 'node_modules/.bin', name)
  await run(bin('publint'), ['--strict', tarball])
  // Node requires ES modules from the oldest version that we support on.
  await run(bin('attw'), [tarball, '--ignore-rules', 'cjs-resolves-to-esm'])
})

test('it has what is run, and nothing of its tests', async () => {
  const { stdout } = await run('tar', ['--list', '--gzip', '--file', tarball])
  const files = stdout
    .trim()
    .split('\n')
    .filter((file) => !file.startsWith('package/node_modules/'))
  expect(files.filter((file) => /\.test\.|\/testing\/|\.map$/.test(file))).toEqual([])
  const outside = files.filter((file) => !/^package\/(dist|images|docs\/errors)\//.test(file)).toSorted()
  expect(outside).toEqual(['package/LICENSE', 'package/README.md', 'package/package.json'])
})

test('a plain script, installed as npm does it: no native code comes along, nor anything that would build some', async () => {
  await using consumer = await Consumer.install('script', [], ['--ignore-scripts=false', '--omit=peer'])
  const native = /\.node$|(?:^|\/)binding\.gyp$|(?:^|\/)(?:cpu-features|nan|node-gyp)(?:\/|$)/
  expect((await consumer.installed()).filter((file) => native.test(file))).toEqual([])
  await using program = await consumer.run('../info.mjs', [])
  expect(await program.program.exit, program.program.stderr).toEqual({ code: 0, signal: null })
  expect(program.program.stdout).toBe('by-hand has cgroup v1\n')
  await program.gone()
})

test('a client that it gives has its type, with no package of types to install; old ways to find modules find all', async () => {
  const packages = ['vitest@4.1.12', 'testcontainers@11.14.0', 'jest@30', '@jest/reporters@30']
  await using consumer = await Consumer.install('types', packages)
  await consumer.compile()
  await consumer.compile('tsconfig.node10.json')
})
