import type { VertexStatus } from './status.ts'

/** `0.3s`, `12.0s`, `61.4s`: as BuildKit prints times. */
export function formatSeconds(ms: number): string {
  return `${(Math.max(0, ms) / 1000).toFixed(1)}s`
}

const units = ['B', 'kB', 'MB', 'GB', 'TB']

/** `812B`, `3.42MB`: decimal units, as BuildKit prints sizes. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(2)}${units[unit]}`
}

/** `3.42MB / 10.00MB`, `3.42MB`, or nothing where nothing is counted. */
export function formatAmount({ current, total }: Pick<VertexStatus, 'current' | 'total'>): string {
  if (total > 0) return `${formatBytes(current)} / ${formatBytes(total)}`
  return current > 0 ? formatBytes(current) : ''
}
