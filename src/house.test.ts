// The limits that CONTRIBUTING.md sets for the files of src; generated code has none.
import { readdirSync, readFileSync } from 'node:fs'
import { basename, join, relative } from 'node:path'
import { expect, test } from 'vitest'

const MOST_LINES = 250

const root = import.meta.dirname
const entries = readdirSync(root, { recursive: true, withFileTypes: true }).filter(
  ({ name, parentPath }) => name !== 'gen' && basename(parentPath) !== 'gen',
)
const files = entries
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map(({ parentPath, name }) => join(relative(root, parentPath), name))

test(`no file has more than ${MOST_LINES} lines`, () => {
  const linesOf = (file: string) => readFileSync(join(root, file), 'utf8').trimEnd().split('\n').length
  expect(files.length).toBeGreaterThan(100)
  expect(files.filter((file) => linesOf(file) > MOST_LINES)).toEqual([])
})

test('no two files, nor a file and a folder, have one name', () => {
  const folders = entries
    .filter((entry) => entry.isDirectory())
    .map(({ parentPath, name }) => join(relative(root, parentPath), name))
  const names = [...folders, ...files.map((file) => file.replace(/\.ts$/, ''))].map((name) => name.toLowerCase())
  expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([])
})
