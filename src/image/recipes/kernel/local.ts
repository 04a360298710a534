import { basename, dirname } from 'node:path'
import { type LocalDir, llb, type State } from '../../../buildkit/graph.ts'
import type { LocalKernel } from '../../../options/index.ts'
import { contentKeyOf } from '../content-key.ts'
import type { Ingredient } from '../ingredient.ts'

/** The tree of a kernel, and what goes in front of its initrd. */
export interface LocalKernelTree extends Ingredient {
  /** A state with `/initrd`. */
  readonly initrd?: State
}

/** A kernel of this machine, sent by the session and laid out as packages have it. */
export async function localKernel(kernel: LocalKernel): Promise<LocalKernelTree> {
  const { release, vmlinuz, config, systemMap, modules, initrd } = kernel
  const directories: Record<string, LocalDir> = {}
  const load = (part: string, directory: LocalDir) => {
    const name = `testkernels-kernel-${part}`
    directories[name] = directory
    return llb.local(name, { name: `[kernel ${release}] load ${part}` })
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
    state: llb.scratch().file(actions, { name: `[kernel ${release}] lay out` }),
    ...(initrd !== undefined && { initrd: initrdState(loadFile('initrd', initrd), initrd) }),
    contentKey: JSON.stringify(await Promise.all(files.map(contentKeyOf))),
    directories,
  }
}

function initrdState(directory: State, path: string): State {
  return llb.scratch().file(llb.copy(directory, `/${basename(path)}`, '/initrd'), { name: '[kernel] initrd' })
}

/** A name as a pattern that matches nothing else. */
function literal(name: string): string {
  return name.replaceAll(/[*?[\]\\!]/g, '\\$&')
}
