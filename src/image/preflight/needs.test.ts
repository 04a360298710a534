import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { amd64 } from '../../arch/amd64.ts'
import { neededOptions } from './needs.ts'

const fixtures = join(import.meta.dirname, '../../../fixtures/kernel-configs')

/** What moby's list asks for and ours does not. */
const leftOut = {
  'gone before 5.10, and until then on with an option of our list, or nothing of a guest needs it':
    'DEVPTS_MULTIPLE_INSTANCES NF_NAT_IPV4 NF_NAT_NEEDED MEMCG_SWAP_ENABLED MEMCG_KMEM RESOURCE_COUNTERS NETPRIO_CGROUP IOSCHED_CFQ CFQ_GROUP_IOSCHED INET_XFRM_MODE_TRANSPORT EXT3_FS_XATTR',
  "the guest's dockerd uses overlay2":
    'EXT3_FS EXT3_FS_POSIX_ACL EXT3_FS_SECURITY EXT4_USE_FOR_EXT2 BTRFS_FS_POSIX_ACL',
  'on whenever an option of our list is': 'CRYPTO CRYPTO_AEAD CRYPTO_GHASH XFRM XFRM_ALGO',
  'dockerd does without, and says so': 'SECURITY_SELINUX SECURITY_APPARMOR',
  'matters to C libraries of before 2012': 'LEGACY_VSYSCALL_NATIVE LEGACY_VSYSCALL_EMULATE LEGACY_VSYSCALL_NONE',
}

test("moby's list asks for nothing that ours has neither taken in nor left out for a reason", () => {
  const text = readFileSync(join(fixtures, 'moby-check-config.txt'), 'utf8')
  const asked = text.replaceAll(/^#.*$/gm, '').trim().split(/\s+/)
  const reasoned = Object.values(leftOut).flatMap((names) => names.split(' '))
  expect(asked.filter((name) => !neededOptions(amd64).has(name)).toSorted()).toEqual(reasoned.toSorted())
})
