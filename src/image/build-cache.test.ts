import { expect, test } from 'vitest'
import type { UsageRecord } from '../buildkit/index.ts'
import { recordsOfOurs } from './build-cache.ts'

function record(id: string, description: string, parent?: string): UsageRecord {
  const state = { recordType: 'regular', sizeBytes: 1, isMutable: false, isInUse: false, isShared: false }
  return { id, description, parent, ...state }
}

test('steps and their mounts are known by their mark, directories by their names, file operations by what they are on', () => {
  const ours = [
    record('kernel', 'fileop target', 'rootfs'),
    record('initrd', 'fileop target', 'kernel'),
    record('rootfs', 'mount / from exec env TESTKERNELS_BUILD=1 sh /src/pack', 'base'),
    record('out', 'mount /out from exec env TESTKERNELS_BUILD=1 /bin/sh -ec a\nb'),
    record('apt', 'cached mount /var/cache/apt from exec env TESTKERNELS_BUILD=1 /bin/sh -ec x'),
    record('sent', 'local source for testkernels-kernel-modules'),
  ]
  expect(recordsOfOurs(ours).map(({ id }) => id)).toEqual(expect.arrayContaining(ours.map(({ id }) => id)))
})

test("what is, or may be, the user's stays", () => {
  const rootfs = record('rootfs', 'mount / from exec env TESTKERNELS_BUILD=1 sh /src/pack')
  const theirs = [
    record('base', 'pulled from docker.io/library/debian:trixie-slim'),
    record('run', 'mount / from exec /bin/sh -c echo TESTKERNELS_BUILD=1', 'base'),
    record('on ours', 'mount / from exec /bin/sh -c make', 'rootfs'),
    record('copied', 'fileop target', 'base'),
    record('from nothing', 'fileop target'),
    record('apt', 'cached mount /var/cache/apt from exec /bin/sh -c apt-get update'),
    record('context', 'local source for context'),
  ]
  expect(recordsOfOurs([...theirs, rootfs])).toEqual([rootfs])
})
