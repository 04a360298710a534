import type { Step } from '../vm/index.ts'

const BAR_COLUMNS = 48

/**
 * Where the time of a start went, as bars below one another on one scale:
 *
 *     image      0.06 s  █
 *     container  0.24 s   ████████
 */
export function drawTimings(steps: readonly Step[]): string {
  const ordered = steps.toSorted((one, other) => one.fromMs - other.fromMs || other.toMs - one.toMs)
  const endMs = Math.max(...ordered.map(({ toMs }) => toMs), 1)
  const nameColumns = Math.max(...ordered.map(({ name }) => name.length))
  const column = (ms: number) => Math.floor((ms / endMs) * BAR_COLUMNS)
  const lines = ordered.map(({ name, fromMs, toMs }) => {
    // The shortest step is seen, too.
    const bar = '█'.repeat(Math.max(1, column(toMs) - column(fromMs)))
    const seconds = ((toMs - fromMs) / 1000).toFixed(2).padStart(6)
    return `${name.padEnd(nameColumns)} ${seconds} s  ${' '.repeat(Math.min(column(fromMs), BAR_COLUMNS - 1))}${bar}\n`
  })
  return lines.join('')
}
