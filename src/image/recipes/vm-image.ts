import { llb, type State } from '../../buildkit/index.ts'
import type { KernelReference } from '../../options/index.ts'
import { imagePaths } from '../../qemu/index.ts'
import { guest } from './guest.ts'
import type { Ingredient } from './ingredient.ts'
import { kernel } from './kernel/index.ts'
import { rootfs } from './rootfs.ts'
import { runner, tscMeter } from './runner.ts'
import { sources } from './sources.ts'
import { tools } from './tools.ts'

/** The Debian suite that runner, tools and rootfs are made of; the kernel's is the entry's. */
export const BASE_SUITE = 'trixie'

export interface VmImageInput {
  /** Reference of a Debian image of `BASE_SUITE` in the engine's store. */
  readonly base: string
  readonly kernel: KernelReference
  readonly mirror: string | undefined
}

/**
 * The root file system of a VM's image. Its layers go from what seldom changes to what often does, so that images of
 * different kernels share QEMU and rootfs, and a change of our scripts packs nothing anew. Each is written where it will
 * be: no file system is copied to get its place.
 */
export function vmImage({ base, kernel: reference, mirror }: VmImageInput): Ingredient {
  const debian = { mirror, suite: BASE_SUITE }
  const from = llb.image(base, { name: `[base] ${base}` })
  const withTools = tools(from, debian)
  const kernelPart = kernel(withTools, reference, mirror)
  const kernelFiles = kernelPart.state
  const runnerSources = sources('runner')

  const withRootfs = runner(from, debian).run({
    name: '[rootfs] mkfs.erofs',
    args: ['mkfs.erofs', '--quiet', '-T0', imagePaths.rootfs, '/mnt'],
    mounts: [llb.bind('/mnt', rootfs(from, debian)), llb.tmpfs('/tmp')],
  })
  const withKernel = withRootfs.file(
    llb.copy(kernelFiles, '/vmlinuz', imagePaths.vmlinuz).copy(kernelFiles, '/kernel.erofs', imagePaths.kernelFiles),
    { name: `[image] kernel ${reference.suite}` },
  )
  const state = withKernel.file(
    llb
      .copy(initrd(withTools, kernelFiles), '/initrd', imagePaths.initrd)
      .copy(tscMeter(withTools), '/tsc-khz', '/testkernels/tsc-khz')
      .copy(runnerSources, '/src/entrypoint', imagePaths.entrypoint)
      .copy(runnerSources, '/src/supervise', '/testkernels/supervise')
      .copy(runnerSources, '/src/probe', imagePaths.probe),
    { name: '[image] initrd and entrypoint' },
  )
  return { ...kernelPart, state }
}

/** The kernel takes several cpio archives one behind the other as one initrd. */
function initrd(withTools: State, kernelFiles: State): State {
  return withTools
    .run({
      name: '[guest] join the initrd',
      script: 'cat /kernel/modules.cpio /guest/guest.cpio >/out/initrd',
      mounts: [
        llb.bind('/kernel', kernelFiles),
        llb.bind('/guest', guest(withTools)),
        llb.bind('/out', llb.scratch(), { access: 'read-write' }),
      ],
    })
    .mountOutput('/out')
}
