/** A tarball of a kernel's source, and where its checksum is published. */
export interface Tarball {
  readonly name: string
  readonly url: string
  /** A list as `sha256sum` writes it; undefined where nobody publishes one. */
  readonly checksumsUrl: string | undefined
}

const KERNEL_ORG = 'https://cdn.kernel.org/pub/linux/kernel'
/** Release candidates are in no directory of kernel.org's: they are made on demand from the git tag. */
const CANDIDATES = 'https://git.kernel.org/torvalds/t'

/** `mirror` is laid out like kernel.org's `pub/linux/kernel`, with release candidates in `vX.x/testing`. */
export function tarballOf(version: string, mirror: string | undefined): Tarball {
  const directory = `${mirror ?? KERNEL_ORG}/v${version.split('.', 1)[0]}.x`
  if (!version.includes('-rc')) {
    const name = `linux-${version}.tar.xz`
    return { name, url: `${directory}/${name}`, checksumsUrl: `${directory}/sha256sums.asc` }
  }
  const name = `linux-${version}.tar.gz`
  if (mirror === undefined) return { name, url: `${CANDIDATES}/${name}`, checksumsUrl: undefined }
  return { name, url: `${directory}/testing/${name}`, checksumsUrl: `${directory}/testing/sha256sums.asc` }
}

/** The sha256 of a file in such a list, which may be in a PGP envelope. */
export function checksumIn(list: string, name: string): string | undefined {
  for (const line of list.split('\n')) {
    const [, sum, file] = /^([0-9a-f]{64}) [ *](\S+)\s*$/.exec(line) ?? []
    if (file === name) return sum
  }
  return undefined
}
