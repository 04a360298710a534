import { stripVTControlCharacters } from 'node:util'

const TAB = '    '

/** Output of a program as text that moves no cursor and sets no color. */
export function printable(line: string): string {
  return stripVTControlCharacters(line)
    .replaceAll('\t', TAB)
    .replaceAll(/\p{Cc}/gu, '')
}

/** No more than `width` characters. */
export function cut(text: string, width: number): string {
  const characters = [...text]
  if (characters.length <= width) return text
  return width < 1 ? '' : `${characters.slice(0, width - 1).join('')}…`
}

/** `left` and `right` at the two ends of a line; `left` gives way. */
export function spread(left: string, right: string, width: number): string {
  const shown = cut(left, width - right.length - 1)
  return `${shown}${' '.repeat(Math.max(1, width - [...shown].length - right.length))}${right}`
}
