import { release as runningRelease } from 'node:os'
import { join } from 'node:path'
import { UnknownKernelError } from './errors.ts'
import { isFile } from './kernel-files.ts'
import { type LocalKernel, parseLocalKernel } from './local-kernel.ts'

export interface HostKernelOptions {
  /** Where its files are looked for. @default '/' */
  readonly root?: string
  /** @default that of the running kernel */
  readonly release?: string
}

/**
 * `host`: the kernel that this machine runs.
 * @throws UnknownKernelError where its files are not on the disk; InvalidOptionError where they cannot be read
 */
export function findHostKernel(entry?: string, options: HostKernelOptions = {}): LocalKernel {
  const { root = '/', release = runningRelease() } = options
  const candidates = [
    join(root, 'boot', `vmlinuz-${release}`),
    join(root, 'usr/lib/modules', release, 'vmlinuz'),
    join(root, 'lib/modules', release, 'vmlinuz'),
  ]
  const vmlinuz = candidates.find(isFile)
  if (vmlinuz !== undefined) return parseLocalKernel({ vmlinuz }, entry)
  throw new UnknownKernelError({
    what: `the kernel that this machine runs, ${release}, is not on its disk: there is neither ${candidates.join(' nor ')}`,
    entry,
    remedy: 'name where its files are: file:///path/vmlinuz; or take another kernel, such as debian:trixie',
  })
}
