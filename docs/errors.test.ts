// Every code has a section in docs/errors, and every section is of a code that there is.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { explain } from '../src/cli/explain.ts'

const root = join(import.meta.dirname, '..')
const pages = readdirSync(join(root, 'docs/errors')).filter((name) => name !== 'README.md')
const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => readFileSync(join(root, 'src', file), 'utf8'))
const codes = sources.flatMap((text) =>
  [...text.matchAll(/^ {2}readonly code = '(\w+)'$/gm)].map(([, code = '']) => code),
)

const sections = pages.flatMap((page) =>
  readFileSync(join(root, 'docs/errors', page), 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((text) => ({ page, code: text.split('\n', 1)[0] ?? '', text })),
)

test('codes and sections are the same, each once', () => {
  expect(codes.length).toBeGreaterThan(60)
  expect(sections.map(({ code }) => code).toSorted()).toEqual(codes.toSorted())
})

test.each(sections)(
  '$code has cause, what to do, and an example with a remedy that the code gives',
  ({ code, text }) => {
    const [, why, , example = ''] =
      /^\w+\n\n([^*\n].+)\n\n\*\*What to do\.\*\* (.+)\n\n```text\n([\s\S]+?)\n```\n$/.exec(`${text.trimEnd()}\n`) ?? []
    expect(why).toBeDefined()
    expect(example.split('\n', 1)[0]).toMatch(new RegExp(`^error \\[${code}\\]: .`))
    const [, remedy = ''] = /^ {2}remedy: (.+)$/m.exec(example) ?? []
    // Some of its words stand in a row in the source: a remedy that was changed there is found here.
    const words = remedy.split(' ')
    const inRow = Math.min(4, words.length - 1)
    const rows = words.slice(0, words.length - inRow + 1).map((_, at) => words.slice(at, at + inRow).join(' '))
    expect(inRow > 0 && rows.some((row) => sources.some((source) => source.includes(row))), remedy).toBe(true)
  },
)

test('the index links every code', () => {
  const index = readFileSync(join(root, 'docs/errors/README.md'), 'utf8')
  const missing = sections.filter(({ page, code }) => !index.includes(`[${code}](${page}#${code.toLowerCase()})`))
  expect(missing.map(({ code }) => code)).toEqual([])
})

test('the command line explains every code, in whatever case, and no other', () => {
  for (const code of codes) expect(explain(code.toLowerCase())).toContain(`${code}\n`)
  expect(() => explain('NO_SUCH_CODE')).toThrow("there is no error 'NO_SUCH_CODE'")
})

test('the pages are part of the package', () => {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  expect(files).toContain('docs/errors')
})
