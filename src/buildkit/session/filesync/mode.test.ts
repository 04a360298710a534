import { expect, test } from 'vitest'
import { goMode, kindOf, unixPermissions } from './mode.ts'

const stats = (mode: number, kind: 'file' | 'directory' | 'symlink') => ({
  mode: BigInt(mode),
  isDirectory: () => kind === 'directory',
  isSymbolicLink: () => kind === 'symlink',
})

test.each([
  [0o100644, 'file', 0o644],
  [0o104755, 'file', 2 ** 23 + 0o755],
  [0o102755, 'file', 2 ** 22 + 0o755],
  [0o041777, 'directory', 2 ** 31 + 2 ** 20 + 0o777],
  [0o120777, 'symlink', 2 ** 27 + 0o777],
] as const)('mode %o of a %s is %i in Go, and back', (unix, kind, go) => {
  expect(goMode(stats(unix, kind))).toBe(go)
  expect(kindOf(go)).toBe(kind)
  expect(unixPermissions(go)).toBe(unix & 0o7777)
})

test('devices, pipes and sockets are special', () => {
  expect([2 ** 26, 2 ** 26 + 2 ** 21, 2 ** 25, 2 ** 24].map(kindOf)).toEqual(Array(4).fill('special'))
})
