import { basename } from 'node:path'
import type { KernelReference, KernelSpec } from './kernel-reference.ts'
import type { SourceOrigin } from './source-kernel.ts'

/** A kernel in few words, for people: `bookworm`. It stands in the names of build steps and, simplified, in image tags. */
export function kernelLabel(reference: KernelReference): string {
  switch (reference.kind) {
    case 'debian':
      return reference.flavour === undefined ? reference.suite : `${reference.suite}/${reference.flavour}`
    case 'image':
      return reference.ref
    case 'local':
      return reference.release
    case 'source':
      return originLabel(reference.origin)
  }
}

function originLabel(origin: SourceOrigin): string {
  switch (origin.kind) {
    case 'version':
      return origin.version
    case 'debian':
      return `debian/${origin.suite}`
    case 'tarball':
    case 'tree':
      return basename(origin.path)
  }
}

/** A kernel as the user named it: `source:debian/trixie with cgroup-v1, my.config`. */
export function kernelText(kernel: KernelSpec): string {
  if (typeof kernel === 'string') return kernel
  if ('vmlinuz' in kernel) return kernel.vmlinuz
  const { source, version, config = [] } = kernel
  const reference = version === undefined ? `source:${source}` : `version:${version}`
  return config.length === 0 ? reference : `${reference} with ${config.join(', ')}`
}
