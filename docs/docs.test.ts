// What README.md and docs/ say that can be compared with the code. What they show runs in e2e/docs.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { blocks, fileOf, pages, readPage, root } from '../e2e/support/pages.ts'
import { commands } from '../src/cli/commands.ts'
import { type KernelEntry, parseKernelEntry } from '../src/options/index.ts'

/** As GitHub makes them of headings. */
function anchorsOf(page: string): readonly string[] {
  const headings = [...readPage(page).matchAll(/^#+ (.+)$/gm)].map(([, text = '']) => text)
  return headings.map((text) =>
    text
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

test.each(pages)('every link of %s leads somewhere', (page) => {
  const links = [...readPage(page).matchAll(/\]\(([^)]+)\)/g)].map(([, link = '']) => link)
  const broken = links
    .filter((link) => !/^https?:/.test(link))
    .filter((link) => {
      const [path = '', anchor] = link.split('#')
      const target = path === '' ? page : join(dirname(page), path)
      if (!existsSync(join(root, target))) return true
      return anchor !== undefined && !anchorsOf(target).includes(anchor)
    })
  expect(broken).toEqual([])
})

test('every page of docs/ is found from README.md', () => {
  const linked = pages.filter((page) => readPage('README.md').includes(`(${page})`))
  expect(linked).toEqual(pages.filter((page) => page !== 'README.md'))
})

test('every block is of a kind that is tested: a file, commands with what they print, commands whose options there are, a recipe', () => {
  const strange = blocks.filter((block) => {
    if (['ts', 'js'].includes(block.language)) return fileOf(block) === undefined
    // Pictures, which are not to be run.
    const isPicture = block.language === 'text' || (block.language === '' && block.page === 'docs/architecture.md')
    return !isPicture && !['sh', 'console', 'dockerfile'].includes(block.language)
  })
  expect(strange.map(({ page, line }) => `${page}:${line}`)).toEqual([])
})

test('every option of testkernels that is shown is one that there is', () => {
  const known = new Map(
    commands().map((command) => [
      command.name(),
      [command, ...command.commands].flatMap(({ options }) => options.flatMap(({ long, short }) => [long, short])),
    ]),
  )
  const shown = blocks
    .filter(({ language }) => ['sh', 'console'].includes(language))
    .flatMap(({ text }) => [...text.matchAll(/testkernels (\w+)((?: (?!--? )[^\s|#]+)*)/g)])
  expect(shown.length).toBeGreaterThan(10)
  for (const [command, name = '', words = ''] of shown) {
    const [own = ''] = words.split(' -- ')
    const options = own.split(' ').filter((word) => word.startsWith('-') && word !== '--' && word !== '--help')
    expect(known.get(name), command).toEqual(expect.arrayContaining(options))
  }
})

test('the table of options has each with its default', () => {
  const rows = [...readPage('docs/options.md').matchAll(/^\| `(\w+)` \|(?: `([^`]+)`| ([^|`]+))? \|/gm)]
  const {
    name: _,
    reference: __,
    rootfsReference: ___,
    preload: ____,
    kernel: _____,
    ...defaults
  }: Partial<KernelEntry> = parseKernelEntry('e', { kernel: 'debian:trixie' })
  const told = Object.fromEntries(rows.map(([, option = '', code, words]) => [option, code ?? words ?? '']))
  const literal = (value: unknown) => {
    if (typeof value === 'object') return Object.keys(value ?? {}).length === 0 ? 'none' : JSON.stringify(value)
    return typeof value === 'string' ? `'${value}'` : String(value)
  }
  const expected = Object.fromEntries(Object.entries(defaults).map(([option, value]) => [option, literal(value)]))
  expect(told).toEqual({ ...expected, kernel: '', kernelReports: 'by kind' })
})

test('the table of variables has each that is read', () => {
  const source = readFileSync(join(root, 'src/options/settings.ts'), 'utf8')
  const read = new Set(source.match(/\b(?:TESTKERNELS|BUILDKIT)_[A-Z_]+\b/g))
  const told = new Set(readPage('docs/environment.md').match(/\b(?:TESTKERNELS|BUILDKIT)_[A-Z_]+\b/g))
  expect(told).toEqual(read)
})

test('README.md is one screen and a half, and no more', () => {
  expect(readPage('README.md').split('\n').length).toBeLessThan(80)
})
