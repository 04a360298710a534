import { basename, dirname } from 'node:path'
import type { Architecture } from '../../../arch/index.ts'
import { type LocalDir, llb, type Platform, type State } from '../../../buildkit/graph.ts'
import { TestkernelsError } from '../../../errors/index.ts'
import type { LocalKernel } from '../../../options/index.ts'
import { contentKeyOf, type Ingredient } from '../ingredient.ts'

/** The kernel is for another architecture than the engine's. */
export class KernelForeignError extends TestkernelsError {
  readonly code = 'KERNEL_FOREIGN'
}

/** The tree of a kernel, and what goes in front of its initrd. */
export interface KernelTree extends Ingredient {
  /** A state with `/initrd`, which goes in front of ours. */
  readonly initrd?: State
  /** A state with `/debug`: vmlinux and modules with debug information, or nothing (images/kernel/build-source.sh). */
  readonly debugInfo?: State
}

/**
 * A kernel of this machine, sent by the session and laid out as packages have it.
 * @throws KernelForeignError
 */
export async function localKernel(kernel: LocalKernel, arch: Architecture): Promise<KernelTree> {
  if (kernel.arch !== undefined && kernel.arch !== arch.name) throw foreign(kernel, kernel.arch, arch)
  const { platform } = arch
  const { release, vmlinuz, config, systemMap, modules, initrd } = kernel
  const directories: Record<string, LocalDir> = {}
  const load = (part: string, directory: LocalDir) => {
    const name = `testkernels-kernel-${part}`
    directories[name] = directory
    return llb.local(name, { platform, name: `[kernel ${release}] load ${part}` })
  }
  const loadFile = (part: string, path: string) =>
    load(part, { path: dirname(path), include: [literal(basename(path))] })

  let actions = llb.mkdir('/boot')
  for (const [part, path] of Object.entries({ vmlinuz, config, 'System.map': systemMap })) {
    if (path === undefined) continue
    actions = actions.copy(loadFile(part, path), `/${basename(path)}`, `/boot/${part}-${release}`)
  }
  if (modules !== undefined) {
    const to = `/lib/modules/${release}`
    // Less the links to the sources it was built from.
    const from = load('modules', { path: modules, exclude: ['build', 'source'] })
    actions = actions.mkdir(to, { makeParents: true }).copy(from, '/', to, { contents: true })
  }
  const files = [vmlinuz, config, systemMap, modules, initrd].filter((path) => path !== undefined)
  return {
    state: llb.scratch(platform).file(actions, { name: `[kernel ${release}] lay out` }),
    ...(initrd !== undefined && { initrd: initrdState(loadFile('initrd', initrd), initrd, platform) }),
    contentKey: JSON.stringify(await Promise.all(files.map(contentKeyOf))),
    directories,
  }
}

function initrdState(directory: State, path: string, platform: Platform): State {
  return llb.scratch(platform).file(llb.copy(directory, `/${basename(path)}`, '/initrd'), { name: '[kernel] initrd' })
}

function foreign({ vmlinuz }: LocalKernel, of: string, { name }: Architecture): KernelForeignError {
  return new KernelForeignError({
    what: `the kernel ${vmlinuz} is for ${of}, and the engine's machine is ${name}`,
    remedy: `take a kernel for ${name}, or an engine on ${of}`,
  })
}

/** A name as a pattern that matches nothing else. */
function literal(name: string): string {
  return name.replaceAll(/[*?[\]\\!]/g, '\\$&')
}
