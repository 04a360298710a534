import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

test('the generated code is that of the .proto files beside it', async () => {
  const fresh = await mkdtemp(join(tmpdir(), 'testkernels-gen-'))
  const bin = join(root, 'node_modules/.bin')
  await promisify(execFile)('buf', ['generate', '--template', 'src/buildkit/buf.gen.yaml', '--output', fresh], {
    cwd: root,
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}` },
  })
  const committed = join(import.meta.dirname, 'gen')
  const names = (await readdir(committed)).sort()
  expect((await readdir(join(fresh, 'src/buildkit/gen'))).sort()).toEqual(names)
  for (const name of names)
    expect(await readFile(join(fresh, 'src/buildkit/gen', name), 'utf8')).toBe(
      await readFile(join(committed, name), 'utf8'),
    )
  await rm(fresh, { recursive: true })
})
