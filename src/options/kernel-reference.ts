import { type DebianKernel, debianSuites, parseDebianKernel } from './debian-kernel.ts'
import { UnknownKernelError } from './errors.ts'
import { findHostKernel } from './host-kernel.ts'
import { type LocalKernel, type LocalKernelOptions, parseFileUrl, parseLocalKernel } from './local-kernel.ts'
import { parseSourceKernel, type SourceKernel, type SourceKernelOptions, sourceKernelText } from './source-kernel.ts'

/** Where a kernel comes from. Each kind has a file of its own beside this one. */
export type KernelReference = DebianKernel | ImageKernel | LocalKernel | SourceKernel

/** `docker-image://REF`: an image with a kernel in it, under `/boot` or `/usr/lib/modules`. */
export interface ImageKernel {
  readonly kind: 'image'
  readonly ref: string
}

/** A kernel, as a user writes it. */
export type KernelSpec = string | LocalKernelOptions | SourceKernelOptions

/**
 * Reads the reference of a kernel.
 * @throws UnknownKernelError; InvalidOptionError
 */
export function parseKernelReference(kernel: KernelSpec, entry?: string): KernelReference {
  if (typeof kernel !== 'string') {
    return 'vmlinuz' in kernel ? parseLocalKernel(kernel, entry) : parseSourceKernel(kernel, debianSuites, entry)
  }
  const [, scheme, rest = ''] = /^(host$|debian:|docker-image:\/\/|file:|version:|source:)(.*)$/.exec(kernel) ?? []
  switch (scheme) {
    case 'host':
      return findHostKernel(entry)
    case 'debian:':
      return parseDebianKernel(rest, entry)
    case 'file:':
      return parseLocalKernel(parseFileUrl(kernel, entry), entry)
    case 'docker-image://':
      if (rest !== '') return { kind: 'image', ref: rest }
  }
  const source = sourceKernelText(kernel)
  if (source !== undefined) return parseSourceKernel(source, debianSuites, entry)
  throw new UnknownKernelError({
    what: `unknown kernel '${kernel}'`,
    entry,
    remedy:
      'name one as debian:SUITE, version:X.Y.Z, source:debian/SUITE, source:PATH, docker-image://REF, file:///path/vmlinuz or host',
  })
}
