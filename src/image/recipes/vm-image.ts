import type { Architecture } from '../../arch/index.ts'
import { llb, type State } from '../../buildkit/graph.ts'
import type { GuestInit } from '../../options/index.ts'
import { imagePaths } from '../../qemu/index.ts'
import type { DebianMirror } from '../base/debian-mirror.ts'
import type { Drivers } from '../preflight/drivers.ts'
import { doorPrograms, guest, neededProgram, sshd } from './guest.ts'
import type { Ingredient } from './ingredient.ts'
import { kernelInitrd, type PackedKernel } from './kernel/index.ts'
import { packedDisk, runner, runnerPrograms, withDebugInfo, withScratch } from './runner.ts'
import { sources } from './sources.ts'

/** The Debian suite that runner and tools are made of; kernel and rootfs have their own. */
export const BASE_SUITE = 'trixie'

export interface VmImageInput {
  readonly arch: Architecture
  /** A Debian of `BASE_SUITE`. */
  readonly base: State
  readonly tools: State
  readonly mirror: DebianMirror | undefined
  readonly kernel: PackedKernel
  readonly drivers: Drivers
  readonly rootfs: Ingredient
  readonly init: GuestInit
  /** A state with `/debug`, for what says where in its source the kernel is. */
  readonly debugInfo: State | undefined
}

/**
 * The root file system of a VM's image. Its layers go from what seldom changes to what often does, so that images of
 * different kernels share QEMU and rootfs, and a change of our scripts packs nothing anew. Each is written where it will
 * be: no file system is copied to get there.
 */
export function vmImage({
  arch,
  base,
  tools,
  mirror,
  kernel,
  drivers,
  rootfs,
  init,
  debugInfo,
}: VmImageInput): Ingredient {
  const runnerSources = sources('runner', { arch })
  const programs = runnerPrograms(tools, arch)
  const door = doorPrograms(tools, arch)
  const guestFiles = guest({ arch, tools, sshd: sshd(tools, { arch, suite: BASE_SUITE, mirror }), door, init })
  const bare = runner(base, { arch, mirror, suite: BASE_SUITE })
  const withRootfs = bare.run({
    name: `[rootfs] pack ${drivers.disks}`,
    args: ['sh', '/testkernels-src/pack-rootfs', drivers.disks, imagePaths.rootfs, neededProgram(init)],
    mounts: [
      llb.bind('/mnt', rootfs.state),
      llb.bind('/testkernels-src', sources('disks', { arch }), { selector: '/src' }),
      llb.tmpfs('/tmp'),
    ],
  })
  const kernelFiles = packedDisk(bare, kernel.state, {
    arch,
    name: `[kernel ${kernel.label}]`,
    directory: '/disk',
    fileSystem: drivers.disks,
  })
  const withPrograms = withScratch(withRootfs, drivers.scratch, { mirror, suite: BASE_SUITE })
  const withSymbols =
    debugInfo === undefined ? withPrograms : withDebugInfo(withPrograms, debugInfo, { arch, mirror, suite: BASE_SUITE })
  const withKernel = withSymbols.file(
    llb.copy(kernel.state, '/vmlinuz', imagePaths.vmlinuz).copy(kernelFiles, '/disk', imagePaths.kernelFiles),
    { name: '[image] kernel' },
  )
  const state = withKernel.file(
    llb
      .copy(initrd(guestFiles, tools, kernelInitrd(tools, kernel, { arch, drivers })), '/initrd', imagePaths.initrd)
      .copy(programs, '/counter-khz', '/testkernels/counter-khz')
      .copy(programs, '/digest', '/testkernels/digest')
      .copy(programs, '/dial', imagePaths.dial)
      .copy(programs, '/receive', '/testkernels/receive')
      .copy(door, '/box', '/testkernels/door')
      .copy(runnerSources, '/src/entrypoint', imagePaths.entrypoint)
      .copy(runnerSources, '/src/supervise', '/testkernels/supervise')
      .copy(runnerSources, '/src/template', imagePaths.template)
      .copy(runnerSources, '/src/probe', imagePaths.probe),
    { name: '[image] initrd and entrypoint' },
  )
  return {
    state,
    contentKey: JSON.stringify([kernel.contentKey, rootfs.contentKey]),
    directories: { ...kernel.directories, ...rootfs.directories },
  }
}

/** The kernel takes several cpio archives one behind the other as one initrd. */
function initrd(guestFiles: State, tools: State, kernelModules: State): State {
  return tools
    .run({
      name: '[guest] join the initrd',
      script: 'cat /kernel/modules.cpio /guest/guest.cpio >/out/initrd',
      mounts: [llb.bind('/kernel', kernelModules), llb.bind('/guest', guestFiles), llb.output('/out')],
    })
    .mountOutput('/out')
}
