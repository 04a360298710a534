import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Architecture } from '../../../arch/index.ts'
import { llb, type State } from '../../../buildkit/graph.ts'
import type { ConfigFragment } from '../../../options/index.ts'
import { imageFile } from '../sources.ts'

/** It alone has a part for each architecture. */
const BASE = 'base'

/** A state with `/fragments/ORDER-KIND/NAME` (images/kernel/merge-config.awk): base.config and the given ones over it. */
export async function configFragments(config: readonly ConfigFragment[], arch: Architecture): Promise<State> {
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
