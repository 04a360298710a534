import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import type { ConfigFragment, SourceKernel } from '../../../options/index.ts'
import { imageFile, sources } from '../sources.ts'
import { aptInstall } from '../tools.ts'
import type { KernelTree } from './local.ts'
import { type SourceTreeContext, sourceTree } from './source-tree.ts'

export interface SourceKernelContext extends Omit<SourceTreeContext, 'compiler' | 'step'> {
  /** That of `base`. */
  readonly suite: string
  /** A Debian of another suite, to compile on. */
  readonly debian: (suite: string) => Promise<State>
}

/**
 * The tree of a kernel that is built from source: `/boot`, `/lib/modules` and `/debug`. Source, configuration and compilation are
 * steps of their own, so that another configuration unpacks nothing and one that cannot be costs no compilation.
 * @throws KernelSourceUnavailableError
 */
export async function sourceKernel(
  reference: SourceKernel,
  label: string,
  context: SourceKernelContext,
): Promise<KernelTree> {
  const { arch } = context
  const { image } = arch.kernel
  const step = (what: string) => `[kernel ${label}] ${what}`
  const { compilerSuite: suite } = reference
  const compiler = kernelTools(suite === undefined ? context : { ...context, suite, base: await context.debian(suite) })
  const source = await sourceTree(reference.origin, { ...context, compiler, step })
  const tree = llb.bind('/tree', source.state)
  const out = llb.output('/out')
  const fragments = await configFragments(reference.config, arch)
  const configured = compiler.run({
    name: step('make olddefconfig'),
    args: ['sh', '/src/configure.sh', arch.kernel.arch, arch.kernel.directory],
    mounts: [
      llb.bind('/src', sources('kernel', { arch, only: ['configure.sh', 'merge-config.awk', 'check-config.awk'] }), {
        selector: '/src',
      }),
      llb.bind('/fragments', fragments, { selector: '/fragments' }),
      tree,
      out,
    ],
  })
  const built = compiler.run({
    name: step(`make ${image} modules`),
    args: ['sh', '/src/build-source.sh', arch.kernel.arch, arch.kernel.directory, image],
    // RHEL 8's makefiles take every warning for an error, and a compiler of other years than theirs warns of more.
    env: suite === undefined ? undefined : { DISABLE_WERROR: '1' },
    mounts: [
      llb.bind('/src', sources('kernel', { arch, only: ['build-source.sh'] }), { selector: '/src' }),
      llb.bind('/config', configured.mountOutput('/out')),
      llb.cache('/ccache', { id: 'testkernels-ccache' }),
      // They also write a header into the tree, although they build elsewhere; it goes no further.
      suite === undefined ? tree : llb.bind('/tree', source.state, { access: 'read-write' }),
      out,
    ],
  })
  // One output: with two, the kernel was compiled twice.
  const state = built.mountOutput('/out')
  return { ...source, state, debugInfo: state }
}

/** On the base and not on the tools of other steps: what those need must not build a kernel anew. */
function kernelTools({ base, suite, mirror }: SourceKernelContext): State {
  return aptInstall(base, {
    suite,
    mirror,
    name: '[kernel tools] apt-get install compiler',
    packages: [
      ...['gcc', 'libc6-dev', 'make', 'flex', 'bison', 'bc', 'perl', 'python3-minimal', 'ccache'],
      // objtool, signed modules, BTF
      ...['libelf-dev', 'libssl-dev', 'dwarves'],
      // what sources and images are compressed with
      ...['xz-utils', 'zstd', 'lz4', 'bzip2', 'cpio', 'kmod'],
    ],
  })
}

/** It alone has a part for each architecture. */
const BASE = 'base'

/** A state with `/fragments/ORDER-KIND/NAME` (images/kernel/merge-config.awk): base.config and the given ones over it. */
async function configFragments(config: readonly ConfigFragment[], arch: Architecture): Promise<State> {
  const fragments: readonly ConfigFragment[] = [{ kind: 'ready', name: BASE }, ...config]
  let actions = llb.mkdir('/fragments')
  for (const [index, fragment] of fragments.entries()) {
    const kind = fragment.kind === 'ready' ? 'ready' : 'given'
    const directory = `/fragments/${String(index).padStart(3, '0')}-${kind}`
    // Part of the graph, and so of its digest: a fragment that was edited is another kernel.
    actions = actions.mkdir(directory).mkfile(`${directory}/${fragmentName(fragment)}`, await contentOf(fragment, arch))
  }
  return llb
    .scratch(arch.platform)
    .file(actions, { name: `[kernel] fragments ${fragments.map(fragmentName).join(', ')}` })
}

function fragmentName(fragment: ConfigFragment): string {
  return fragment.kind === 'ready' ? `${fragment.name}.config` : basename(fragment.path)
}

async function contentOf(fragment: ConfigFragment, arch: Architecture): Promise<string> {
  if (fragment.kind === 'file') return await readFile(fragment.path, 'utf8')
  const common = await readFile(imageFile(`kernel/fragments/${fragment.name}.config`), 'utf8')
  if (fragment.name !== BASE) return common
  return `${common}\n${await readFile(imageFile(`kernel/${arch.name}/base.config`), 'utf8')}`
}
