// What SECURITY.md says is shown by tests that there are, or is said to be shown by none.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'SECURITY.md'), 'utf8')

/** Sentences of the lists, each with what is said of its tests. */
const claims = [...page.matchAll(/^- (.+(?:\n {2}.+)*)/gm)].map(([, text = '']) => {
  const [claim = '', shown = ''] = text.replaceAll(/\n {2}/g, ' ').split(/ (?=Tests?: `|No test\.)/)
  return {
    claim,
    shown,
    tests: [...shown.matchAll(/`([^`]+)` "([^"]+)"/g)].map(([, file = '', title = '']) => ({ file, title })),
  }
})

test('every sentence names a test, or says that there is none', () => {
  expect(claims.length).toBeGreaterThan(40)
  expect(
    claims.filter(({ shown, tests }) => tests.length === 0 && shown !== 'No test.').map(({ claim }) => claim),
  ).toEqual([])
})

test.each(claims.flatMap(({ tests }) => tests))('there is the test $file "$title"', ({ file, title }) => {
  expect(existsSync(join(root, file))).toBe(true)
  const titles = [...readFileSync(join(root, file), 'utf8').matchAll(/(['"`])((?:\\.|(?!\1).)+)\1/g)]
  expect(titles.map(([, , text = '']) => text.replaceAll(/\\(.)/g, '$1'))).toContain(title)
})

test('every link leads somewhere', () => {
  const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map(([, link = '']) =>
    join(root, dirname(link), link.split('/').at(-1) ?? ''),
  )
  expect(links.filter((link) => !existsSync(link))).toEqual([])
})

test('the dependencies are those of package.json', () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const named = [...page.matchAll(/^\| `([^`]+)` \| \S/gm)].map(([, name]) => name)
  expect(named).toEqual(Object.keys(dependencies))
})
