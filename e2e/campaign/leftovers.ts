import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type CampaignEngine, CGROUP } from './engine.ts'

/**
 * What a start takes a directory for one that is being made, if it is younger (src/files/owned-directory.ts), and a container that was not
 * started (src/engine/prune.ts).
 */
const NEW_FOR_MS = 60_000
/** In the environment of all programs of the campaign, and of what they start. */
export const MARK = 'TESTKERNELS_CAMPAIGN'

export interface Places {
  readonly engine: CampaignEngine
  /** The engine's volumes that stay. */
  readonly volumes: readonly string[]
  /** Of sockets and temporary files, all of which go. */
  readonly directories: readonly string[]
  readonly cacheDirectory: string
}

export interface Look extends Places {
  /** When the start began that was to find all, in milliseconds since 1970: what was young then it had to leave. */
  readonly lookedMs: number
}

/** What VMs that are no more left in the engine, among the processes, and in the file system. */
export async function leftovers({ engine, volumes, directories, cacheDirectory, lookedMs }: Look): Promise<string[]> {
  const [listed, { Volumes }, networks] = await Promise.all([
    engine.docker.listContainers({ all: true }),
    engine.docker.listVolumes(),
    engine.docker.listNetworks(),
  ])
  const exist = await Promise.all(listed.map((container) => container.State !== 'dead' || exists(engine, container)))
  const containers = listed.filter((_, at) => exist[at])
  const young = containers.filter(
    ({ State, Created }) => State === 'created' && lookedMs - Created * 1000 <= NEW_FOR_MS,
  )
  const had = young.flatMap(({ Mounts }) => Mounts.map(({ Name }) => Name))
  return [
    ...containers
      .filter((container) => !young.includes(container))
      .map(({ Names, State }) => `container ${Names.join()} (${State})`),
    ...(Volumes ?? [])
      .filter(({ Name }) => !volumes.includes(Name) && !had.includes(Name))
      .map(({ Name }) => `volume ${Name}`),
    ...networks.filter(({ Name }) => !['bridge', 'host', 'none'].includes(Name)).map(({ Name }) => `network ${Name}`),
    ...processes(),
    ...directories.flatMap((directory) => filesIn(directory, lookedMs)),
    // What replaces a file has the number of its process behind the name until it does.
    ...readdirSync(cacheDirectory, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /\.\d+-[0-9a-f]{8}$/.test(name),
    ),
  ]
}

/** An engine that was killed while it removed a container may list it until its next start, and has it no more, not even to remove. */
async function exists({ docker }: CampaignEngine, { Id }: { readonly Id: string }): Promise<boolean> {
  try {
    await docker.getContainer(Id).inspect()
    return true
  } catch (thrown) {
    if ((thrown as { statusCode?: number }).statusCode === 404) return false
    throw thrown
  }
}

/** Of the engine's containers, and programs of the campaign with what they started. */
function processes(): string[] {
  return (
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
      .filter((pid) => read(pid, 'cgroup').includes(`/${CGROUP}/`) || read(pid, 'environ').includes(`${MARK}=`))
      .map((pid) => ({ pid, command: read(pid, 'cmdline').replaceAll('\0', ' ').trim() }))
      // An engine that is killed while it starts a container leaves this, and no engine knows of it: it has not begun to be ours.
      .filter(({ command }) => command !== 'runc init')
      .map(({ pid, command }) => `process ${pid}: ${command.slice(0, 120)}`)
  )
}

function read(pid: string, file: string): string {
  try {
    return readFileSync(join('/proc', pid, file), 'utf8')
  } catch {
    // It has ended.
    return ''
  }
}

function filesIn(directory: string, lookedMs: number): string[] {
  return readdirSync(directory).flatMap((name) => {
    const path = join(directory, name)
    const found = statSync(path, { throwIfNoEntry: false })
    if (found === undefined) return []
    const isBeingMade = name.startsWith('testkernels-new-') && lookedMs - found.mtimeMs <= NEW_FOR_MS
    return isBeingMade ? [] : [`file ${path}`]
  })
}
