import { basename, dirname } from 'node:path'
import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import type { Logger } from '../../../log/index.ts'
import type { SourceOrigin } from '../../../options/index.ts'
import { aptAuth, type DebianMirror } from '../../base/debian-mirror.ts'
import { contentKeyOf, type Ingredient } from '../ingredient.ts'
import { sources } from '../sources.ts'
import { type PublishedChecksumOptions, publishedChecksum, tarballOf } from './kernel-org.ts'

export interface SourceTreeContext extends PublishedChecksumOptions {
  readonly arch: Architecture
  readonly base: State
  /** Has what tarballs are unpacked with. */
  readonly compiler: State
  readonly mirror: DebianMirror | undefined
  readonly kernelMirror: string | undefined
  /** Names a step for people. */
  readonly step: (what: string) => string
  readonly log: Logger
}

const LOCAL = 'testkernels-kernel'

/**
 * A kernel's source, unpacked.
 * @throws KernelSourceUnavailableError
 */
export async function sourceTree(origin: SourceOrigin, context: SourceTreeContext): Promise<Ingredient> {
  const { step, arch } = context
  const { platform } = arch
  switch (origin.kind) {
    case 'version': {
      const { name, url, checksum } = await release(origin, context)
      const tarball = llb.http(url, {
        platform,
        ...checksum,
        filename: name,
        mode: 0o644,
        name: step(`download ${url}`),
      })
      return { state: unpack(tarball, name, undefined, context) }
    }
    case 'debian':
      return { state: unpack(debianSource(origin.suite, context), 'linux.tar.xz', undefined, context) }
    case 'tarball': {
      const name = basename(origin.path)
      return {
        state: unpack(llb.local(LOCAL, { platform, name: step(`load ${origin.path}`) }), name, origin.sha256, context),
        contentKey: await contentKeyOf(origin.path),
        directories: { [LOCAL]: { path: dirname(origin.path), include: [name] } },
      }
    }
    case 'tree':
      return {
        state: llb.local(LOCAL, { platform, name: step(`load ${origin.path}`) }),
        contentKey: await contentKeyOf(origin.path),
        directories: { [LOCAL]: { path: origin.path, exclude: builtInTree } },
      }
  }
}

/** What a build in the tree left, which one beside it (`make O=`) refuses or stumbles over. */
const builtInTree = [
  ...['.git', '.config', '.config.old', 'include/config', 'include/generated', 'arch/*/include/generated'],
  ...['vmlinux', 'System.map', 'Module.symvers', '**/*.o', '**/*.a', '**/*.ko', '**/.*.cmd'],
]

async function release(origin: SourceOrigin & { kind: 'version' }, context: SourceTreeContext) {
  const { version, sha256 } = origin
  const { name, url, checksumsUrl } = tarballOf(version, context.kernelMirror)
  if (sha256 !== undefined) return { name, url, checksum: { checksum: `sha256:${sha256}` } }
  if (checksumsUrl === undefined) {
    context.log.info(`kernel.org publishes no checksum of ${name}: it is taken as it comes; #sha256=HEX pins it`)
    return { name, url, checksum: {} }
  }
  const published = await publishedChecksum({ name, url, checksumsUrl }, context)
  return { name, url, checksum: { checksum: `sha256:${published}` } }
}

function debianSource(suite: string, { arch, base, mirror, step }: SourceTreeContext): State {
  return base
    .run({
      name: step('fetch linux-source'),
      args: ['sh', '/src/fetch-debian-source.sh', suite, ...(mirror === undefined ? [] : [mirror.url])],
      mounts: [
        llb.bind('/src', sources('kernel', { arch, only: ['fetch-debian-source.sh', 'debian-apt.sh'] }), {
          selector: '/src',
        }),
        ...aptAuth(mirror),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}

function unpack(
  tarball: State,
  file: string,
  sha256: string | undefined,
  { arch, compiler, step }: SourceTreeContext,
): State {
  return compiler
    .run({
      name: step(`unpack ${file}`),
      args: ['sh', '/src/unpack-source.sh', file, ...(sha256 === undefined ? [] : [sha256])],
      mounts: [
        llb.bind('/src', sources('kernel', { arch, only: ['unpack-source.sh'] }), { selector: '/src' }),
        llb.bind('/in', tarball),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
