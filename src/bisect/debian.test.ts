import { expect, test } from 'vitest'
import type { KernelList } from '../image/index.ts'
import { parseDebianKernel } from '../options/kernel-reference.ts'
import { candidatesIn } from './debian.ts'

const list = (...versions: readonly string[]): KernelList => ({
  kernels: versions.map((version) => ({ pocket: 'p', archive: 'a', version, packages: [`linux-image-${version}`] })),
  missing: [],
})
const lists = new Map([
  ['bookworm', list('6.1.99-1', '6.1.170-3', '6.1.172-1', '6.1.187-1', '6.1.187-2')],
  ['trixie', list('6.12.9-1', '6.12.43-1')],
])

function between(good: string, bad: string, from = lists) {
  const ends = { good: parseDebianKernel(good), bad: parseDebianKernel(bad) }
  return candidatesIn(ends, from, { debianSnapshots: undefined }).map(({ reference }) => reference)
}

test('the versions from one to the other, both included, in the order of dpkg', () => {
  expect(between('bookworm@6.1.99-1', 'bookworm@6.1.187-1', new Map([...lists].slice(0, 1)))).toEqual([
    'debian:bookworm@6.1.99-1',
    'debian:bookworm@6.1.170-3',
    'debian:bookworm@6.1.172-1',
    'debian:bookworm@6.1.187-1',
  ])
})

test('a version that is cut short is its newest revision, and none is the newest of all', () => {
  const bookworm = new Map([...lists].slice(0, 1))
  expect(between('bookworm@6.1.172', 'bookworm@6.1.187', bookworm).at(-1)).toBe('debian:bookworm@6.1.187-2')
  expect(between('bookworm@6.1.172', 'bookworm', bookworm)).toHaveLength(3)
})

test('from one suite to the next, those of both, each by its suite; a kernel that both have once', () => {
  const shared = new Map([...lists, ['sid', list('6.12.43-1', '6.17.1-1')]])
  expect(between('bookworm@6.1.187', 'trixie', lists)).toEqual([
    'debian:bookworm@6.1.187-2',
    'debian:trixie@6.12.9-1',
    'debian:trixie@6.12.43-1',
  ])
  expect(between('trixie@6.12.9', 'sid', shared)).toEqual([
    'debian:trixie@6.12.9-1',
    'debian:trixie@6.12.43-1',
    'debian:sid@6.17.1-1',
  ])
})

test('a flavour stays', () => {
  expect(between('bookworm/rt@6.1.172', 'bookworm/rt@6.1.187-1').at(0)).toBe('debian:bookworm/rt@6.1.172-1')
})

test.each([
  ['bookworm@6.1.187', 'bookworm@6.1.99', 'the good version 6.1.187-2 is not older than the bad one, 6.1.99-1'],
  ['bookworm', 'bookworm', 'is not older than the bad one'],
  ['bookworm@6.1.1', 'bookworm', 'the Debian archive has no kernel debian:bookworm@6.1.1'],
])('refuses from %s to %s', (good, bad, message) => {
  expect(() => between(good, bad)).toThrow(message)
})
