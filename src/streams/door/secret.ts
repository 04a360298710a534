import { randomBytes } from 'node:crypto'

/** What the owner of one start proves itself with at its door: 64 hexadecimal digits. */
export function makeDoorSecret(): string {
  return randomBytes(32).toString('hex')
}
