import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { llb, type State } from '../../../buildkit/graph.ts'
import type { ConfigFragment } from '../../../options/index.ts'
import { imageFile } from '../sources.ts'

/** A state with `/fragments/ORDER-KIND/NAME` (images/kernel/merge-config.awk): base.config and the given ones over it. */
export async function configFragments(config: readonly ConfigFragment[]): Promise<State> {
  const fragments: readonly ConfigFragment[] = [{ kind: 'ready', name: 'base' }, ...config]
  let actions = llb.mkdir('/fragments')
  for (const [index, fragment] of fragments.entries()) {
    const kind = fragment.kind === 'ready' ? 'ready' : 'given'
    const directory = `/fragments/${String(index).padStart(3, '0')}-${kind}`
    // Part of the graph, and so of its digest: a fragment that was edited is another kernel.
    actions = actions.mkdir(directory).mkfile(`${directory}/${fragmentName(fragment)}`, await contentOf(fragment))
  }
  return llb.scratch().file(actions, { name: `[kernel] fragments ${fragments.map(fragmentName).join(', ')}` })
}

function fragmentName(fragment: ConfigFragment): string {
  return fragment.kind === 'ready' ? `${fragment.name}.config` : basename(fragment.path)
}

async function contentOf(fragment: ConfigFragment): Promise<Uint8Array> {
  return await readFile(
    fragment.kind === 'ready' ? imageFile(`kernel/fragments/${fragment.name}.config`) : fragment.path,
  )
}
