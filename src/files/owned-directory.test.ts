// What sweeps take away, and what they do not, with owners that are killed: src/vm/boot/run-directory.test.ts.
import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { abandonedDirectories, makeBriefDirectory, makeOwnedDirectory } from './owned-directory.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'tk-owned-'))
})

afterEach(() => rm(parent, { recursive: true }))

const all = () => true
const place = (directory: string) => ({ parent: directory, purpose: 'the test', variable: 'THE_VARIABLE' })

test('is private and not abandoned while its owner lives, and goes when it is disposed', async () => {
  {
    await using owned = await makeOwnedDirectory(place(parent), 'a.sock')
    expect((await stat(owned.path)).mode & 0o777).toBe(0o700)
    expect(basename(owned.path)).toMatch(new RegExp(`^testkernels-${process.pid}-\\w{6}$`))
    expect(await abandonedDirectories(parent, all)).toEqual([])
  }
  expect(await readdir(parent)).toEqual([])
})

test.each([
  ['its own', 90, 'a.sock'],
  // Room for what it has while it is made, and not for what it gets.
  ['one that it gets', 50, `${'x'.repeat(60)}.sock`],
])(
  'where %s socket does not fit there is none: some versions of Node would make it somewhere else',
  async (_, long, socket) => {
    const deep = join(parent, 'x'.repeat(long - Buffer.byteLength(parent)))
    await mkdir(deep)
    await expect(makeOwnedDirectory(place(deep), socket)).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      message: expect.stringMatching(/for the test has too long a path\n {2}remedy: set THE_VARIABLE to/),
    })
    expect(await readdir(deep)).toEqual([])
  },
)

test('a parent that cannot be made is the error, with the variable that names another', async () => {
  await writeFile(join(parent, 'file'), '')
  const nowhere = place(join(parent, 'file/in-it'))
  for (const making of [makeOwnedDirectory(nowhere, 'a.sock'), makeBriefDirectory(nowhere)])
    await expect(making).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      message: expect.stringMatching(/cannot be written\n {2}cause: ENOTDIR.*\n {2}remedy: set THE_VARIABLE to/),
    })
})

test('one for a moment is abandoned when that was a minute ago', async () => {
  const brief = await makeBriefDirectory(place(parent))
  expect(await abandonedDirectories(parent, all)).toEqual([])
  await utimes(brief, 1, 1)
  expect(await abandonedDirectories(parent, all)).toEqual([brief])
  expect(await abandonedDirectories(parent, (uid) => uid !== process.getuid?.())).toEqual([])
})
