// The one place where text of tests, kernels and consoles becomes part of a page: what others say is shown as it is, and does nothing.
import { stripVTControlCharacters } from 'node:util'
import { visible } from '../errors/index.ts'

/** Without colours and cursor movements; what is left of control characters is seen. */
function plain(text: string): string {
  return visible(stripVTControlCharacters(text.replaceAll('\r\n', '\n')))
}

const HTML: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** For what stands between tags, and in quoted attributes. */
export function html(text: string): string {
  return plain(text).replaceAll(/[&<>"']/g, (character) => HTML[character] as string)
}

/** For one cell of a table of Markdown, or part of a line: GitHub makes no link, mention, image, formula or tag of it. */
export function markdownLine(text: string): string {
  return plain(text)
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/[\\`*_{}[\]()#+!|~$:@<>&-]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replaceAll(/www\./gi, (www) => www.replace('.', '&#46;'))
}

/** A block of Markdown that ends where it is to end, whatever backticks are in it. */
export function markdownBlock(text: string): string {
  const seen = plain(text)
  const longest = Math.max(2, ...[...seen.matchAll(/`+/g)].map(([ticks]) => ticks.length))
  const fence = '`'.repeat(longest + 1)
  return `${fence}text\n${seen.trimEnd()}\n${fence}`
}

/** A string of CSS, with its quotes. */
export function cssString(text: string): string {
  const escaped = plain(text).replaceAll(/[^\w .-]/gu, (character) => `\\${character.codePointAt(0)?.toString(16)} `)
  return `"${escaped}"`
}
