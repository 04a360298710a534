import type { Isolation, KernelEntry } from '../options/index.ts'
import type { VmSource } from '../worker/index.ts'
import { OwnVms } from './own-vms.ts'
import type { Running } from './running.ts'
import type { VmUse } from './shared-vms.ts'

/** What a project of a test runner wants of VMs. */
export interface Wanted {
  readonly entries: readonly KernelEntry[]
  readonly isolation: Isolation
  /** Whose VMs they are, where no other project shall use them. */
  readonly owner: string | undefined
}

/** VMs that are there for a project. */
export interface Hold {
  /** The first VM of each entry. */
  readonly uses: readonly VmUse[]
  /** What workers need to know, in the order of the entries. */
  readonly sources: readonly VmSource[]
  /** Memoised, as all that it is made of. */
  release(): Promise<void>
}

/** Starts the VMs that a project needs, or shares those that are there; does not wait for them. */
export async function holdVms(here: Running, { entries, isolation, owner }: Wanted): Promise<Hold> {
  const { fates, logs, directory } = here
  const uses = entries.map((entry) => ({ name: entry.name, ...here.vms.use(entry, owner) }))
  const release = async () => void (await Promise.all(uses.map((use) => use.release())))
  try {
    if (isolation === 'project') {
      const shared = uses.map(
        async (use) => ({ kind: 'shared', name: use.name, fate: await fates.follow(use) }) as const,
      )
      return { uses, sources: await Promise.all(shared), release }
    }
    const { vms, socket } = await OwnVms.open({ firsts: uses, isolation, directory, fates, logs })
    return {
      uses,
      sources: uses.map(({ name }, index) => ({ kind: 'own', name, socket, index })),
      release: async () => {
        await vms[Symbol.asyncDispose]()
        await release()
      },
    }
  } catch (thrown) {
    await release()
    throw thrown
  }
}
