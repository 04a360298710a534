import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

test('the environment is read in two files: what a user says, and what workers hear of their VM', () => {
  const src = join(import.meta.dirname, '..')
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) => /\.c?ts$|\.cjs$/.test(file))
  const readers = files
    .filter((file) => !file.endsWith('.test.ts'))
    .filter((file) => {
      const code = readFileSync(join(src, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
      return /(?<!\.)process\.env\b/.test(code)
    })
  expect(readers.toSorted()).toEqual(['options/settings.ts', 'worker/environment.ts'])
})
