/** A terminal to draw on; `process.stderr` is one. */
export interface Terminal {
  write(text: string): unknown
  /** @default 80 */
  readonly columns?: number
  /** @default 24 */
  readonly rows?: number
  on(event: 'resize', listener: () => void): unknown
  off(event: 'resize', listener: () => void): unknown
}

const ESC = '\u001b['

export const control = {
  hideCursor: `${ESC}?25l`,
  showCursor: `${ESC}?25h`,
  /** Cuts off what does not fit, instead of going on in the next row. */
  wrapOff: `${ESC}?7l`,
  wrapOn: `${ESC}?7h`,
  clearLine: `${ESC}2K`,
  clearBelow: `${ESC}J`,
  up: (rows: number) => (rows === 0 ? '\r' : `\r${ESC}${rows}A`),
}

export type Color = 'blue' | 'red' | 'yellow' | 'faint'

const codes = { blue: 34, red: 31, yellow: 33, faint: 2 } as const

export function paint(color: Color, text: string): string {
  return `${ESC}${codes[color]}m${text}${ESC}0m`
}
