import { formatBytes } from '../../buildkit/progress/index.ts'
import type { Logger } from '../../log/index.ts'

/** Between two lines about one image. */
const INTERVAL_MS = 10_000

/** Says how far it is, every ten seconds: `copying the image postgres:17 for the guest: 128.00MB`. @returns takes bytes done */
export function sayProgress(what: string, { log, totalBytes }: { log: Logger; totalBytes?: number }) {
  let saidAt = performance.now()
  const total = totalBytes === undefined ? '' : ` of ${formatBytes(totalBytes)}`
  return (bytes: number): void => {
    const now = performance.now()
    if (now - saidAt < INTERVAL_MS) return
    saidAt = now
    log.info(`${what}: ${formatBytes(bytes)}${total}`)
  }
}
