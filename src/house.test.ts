// The limits that CONTRIBUTING.md sets for the files of src: not for generated code (`gen/`). What tests alone use (`testing/`), which
// no build compiles, is part of the tests.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const MOST_LINES = 250
const MOST_FILES = 299

const root = import.meta.dirname
const entries = readdirSync(root, { recursive: true, withFileTypes: true }).map((entry) => ({
  path: join(entry.parentPath, entry.name).slice(root.length + 1),
  isFolder: entry.isDirectory(),
}))
const files = entries
  .filter(({ path, isFolder }) => !isFolder && path.endsWith('.ts') && !path.includes('/gen/'))
  .map(({ path }) => path)

test(`there are no more than ${MOST_FILES} files, tests aside`, () => {
  expect(files.filter((file) => !/\.test\.ts$|(^|\/)testing\//.test(file)).length).toBeLessThanOrEqual(MOST_FILES)
})

test(`no file has more than ${MOST_LINES} lines`, () => {
  const linesOf = (file: string) => readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length
  expect(files.filter((file) => linesOf(file) > MOST_LINES)).toEqual([])
})

test('no two files, nor a file and a folder, have one name', () => {
  const folders = entries.filter(({ isFolder }) => isFolder).map(({ path }) => path)
  const names = [...folders, ...files.map((file) => file.replace(/\.ts$/, ''))].map((name) => name.toLowerCase())
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})
