import { describe, expect, test } from 'vitest'
import { cssString, html, markdownBlock, markdownLine } from './escape.ts'

const hostile = [
  '</script><script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '<!-- -->]]>&lt;',
]

describe('html', () => {
  test.each(hostile)('%s is text', (text) => {
    expect(html(text)).not.toMatch(/[<>"']/)
    expect(html('&lt;')).toBe('&amp;lt;')
  })

  test('colours and cursor movements are left out, other control characters are seen, line ends and tabs stay', () => {
    expect(html('\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J\0\x08\r\nnext\tline')).toBe('red \\x00\\x08\nnext\tline')
    expect(html('a\u202eb')).toBe('a\\u202eb')
  })
})

describe('markdownLine', () => {
  test.each([
    '| a | b |',
    '[x](https://example.org)',
    '![x](https://example.org/x.png)',
    '<details>',
    '`code` **bold** _soft_ ~~gone~~',
    '# head',
    '$math$ :emoji: @somebody',
    '- [ ] task',
    '&nbsp;',
  ])('%s is text of one cell', (text) => {
    const escaped = markdownLine(text)
    expect(escaped.replaceAll(/&#\d+;/g, '')).not.toMatch(/[|[\]()<>`*_~#$:@!-]/)
    expect(escaped.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))).toBe(text)
  })

  test('is one line', () => {
    expect(markdownLine('a\n\nb\r\nc')).toBe('a b c')
  })

  test('links nothing that GitHub would link by itself', () => {
    expect(markdownLine('https://example.org www.example.org #1')).not.toMatch(/https:|www\.|#1/)
  })
})

test('a block of Markdown ends where it is to', () => {
  const block = markdownBlock('```\n</details>\n````js\n')
  const [fence] = /^`+/.exec(block) ?? []
  expect(fence).toBe('`````')
  expect(block.split(fence ?? '')).toHaveLength(3)
})

test('a string of CSS ends where it is to', () => {
  expect(cssString('a"; } * { background: url(//x) } \\')).toMatch(/^"[\w .-]*(?:\\[0-9a-f]+ [\w .-]*)*"$/)
  expect(cssString('bookworm-v1.2')).toBe('"bookworm-v1.2"')
  expect(cssString('</style>')).not.toContain('<')
})
