/** Control characters but line end and tab, and those that turn the direction of text or end a line in other ways. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSEEN = /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/**
 * Text of a guest, an engine or a build as text that does nothing to a terminal: `\x1b[2J` is seen, and clears no screen. Line ends and
 * tabs stay.
 */
export function visible(text: string): string {
  return text.replaceAll(UNSEEN, escaped)
}

/** The same for what is to be part of a line: line ends are seen as well, so that nobody adds a line of ours. */
export function visibleLine(text: string): string {
  return visible(text).replaceAll('\n', '\\n')
}

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
}
