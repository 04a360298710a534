import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import { imagePaths } from '../../qemu/index.ts'
import type { DebianMirror } from '../base/debian-mirror.ts'
import type { ReadOnlyFileSystem, WritableFileSystem } from '../preflight/drivers.ts'
import { sources } from './sources.ts'
import { aptInstall } from './tools.ts'

export interface RunnerOptions {
  readonly arch: Architecture
  readonly mirror: DebianMirror | undefined
  readonly suite: string
}

/** The part of the image that is not guest: QEMU, and what makes its network and disks. */
export function runner(base: State, { arch, ...debian }: RunnerOptions): State {
  const installed = aptInstall(base, {
    ...debian,
    name: '[runner] apt-get install QEMU',
    packages: [arch.qemu.debianPackage, 'iproute2', 'nftables', 'e2fsprogs', 'erofs-utils', 'squashfs-tools'],
  })
  return installed.run({
    name: '[runner] directories, and a name for QEMU',
    // A new volume takes the mode of the directory that it is mounted on: some are for whoever QEMU runs as, and templates and their
    // marks are root's. A file operation's mode goes through the engine's umask.
    script: `
mkdir -p -m 0755 /testkernels ${imagePaths.templates} ${imagePaths.marks}
mkdir -m 1777 ${imagePaths.scratchDirectory} ${imagePaths.making} ${imagePaths.runDirectory}
ln -s /usr/bin/${arch.qemu.program} ${imagePaths.qemu}`,
  })
}

/** Packs the tree of a directory in a state as a disk of the guest: a state with `/disk` (images/disks/pack-disk). */
export function packedDisk(
  packer: State,
  tree: State,
  { arch, name, directory, fileSystem }: PackedDiskOptions,
): State {
  return packer
    .run({
      name: `${name} pack ${fileSystem}`,
      args: ['sh', '/testkernels-src/pack-disk', fileSystem, '/out/disk', '/mnt'],
      mounts: [
        llb.bind('/mnt', tree, { selector: directory }),
        llb.bind('/testkernels-src', sources('disks', { arch, only: ['pack-disk'] }), { selector: '/src' }),
        llb.tmpfs('/tmp'),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}

export interface PackedDiskOptions {
  readonly arch: Architecture
  /** Shown in the progress. */
  readonly name: string
  readonly directory: string
  readonly fileSystem: ReadOnlyFileSystem
}

/** What makes the scratch disk, where it is not what makes the other disks. */
const SCRATCH_PACKAGES = { ext4: [], xfs: ['xfsprogs'], btrfs: ['btrfs-progs'] } as const

/** The runner, or an image on top of it, with what makes a scratch disk: few kernels want another one, and few images have its programs. */
export function withScratch(state: State, scratch: WritableFileSystem, debian: Omit<RunnerOptions, 'arch'>): State {
  const packages = SCRATCH_PACKAGES[scratch]
  if (packages.length === 0) return state
  return aptInstall(state, { ...debian, name: `[runner] apt-get install ${packages.join(' ')}`, packages })
}

/** The same with a kernel's debug information, in no disk of the guest's, and what reads it. */
export function withDebugInfo(state: State, debugInfo: State, { arch, ...debian }: RunnerOptions): State {
  return aptInstall(state, { ...debian, name: '[runner] apt-get install elfutils', packages: ['elfutils'] }).file(
    llb
      .copy(debugInfo, '/debug', imagePaths.debugInfo)
      .copy(sources('runner', { arch, only: ['locate'] }), '/src/locate', imagePaths.locate),
    { name: '[image] debug information of the kernel' },
  )
}

/** Compiles the runner's programs (images/runner/*.c), static: a state with `/counter-khz`, `/digest`, `/dial` and `/receive`. */
export function runnerPrograms(tools: State, arch: Architecture): State {
  const own = `runner/${arch.name}` as const
  return tools
    .run({
      name: '[runner] compile its programs',
      script: `
for source in /arch/counter-khz.c /src/digest.c /src/dial.c /src/receive.c; do
  # The checksums' header comes from where the C library's are; musl's own go first.
  musl-gcc -idirafter /usr/include -static -O2 -Wall -Werror -o "/out/$(basename $source .c)" $source
done`,
      mounts: [
        llb.bind('/src', sources('runner', { arch, only: ['digest.c', 'dial.c', 'receive.c'] }), { selector: '/src' }),
        llb.bind('/arch', sources(own, { arch, only: ['counter-khz.c'] }), { selector: '/src' }),
        llb.output('/out'),
      ],
    })
    .mountOutput('/out')
}
