import { statfs } from 'node:fs/promises'
import { abandonedRunDirectories } from '../vm/index.ts'
import type { Check, Finding } from './check.ts'
import { mib } from './machine.ts'

const GROUP = 'Docker engine'
/** Its own, of 15 s, says which engine did not answer. */
const ENGINE_DEADLINE_MS = 20_000
const QUESTION_DEADLINE_MS = 15_000
const BUILDKIT_DEADLINE_MS = 15_000
/** Images, build cache and saved VMs of one or two entries: see docs/figures.md. */
const IMAGES_NEED_MIB = 5 * 1024
/** What one saved VM and one image's own part take. */
const START_NEEDS_MIB = 1024

export const engine: Check = {
  id: 'engine',
  title: 'Engine',
  group: GROUP,
  deadlineMs: ENGINE_DEADLINE_MS,
  needs: 'nothing',
  examine: async (context) => {
    const { engine: found, address, source } = await context.engine()
    const { version, apiVersion, arch, cgroupVersion, rootless, locality } = found
    const place = locality === 'local' ? 'this machine' : rootless ? 'without root' : 'another machine'
    const message = `${version} (API ${apiVersion}, ${arch.name}, cgroup v${cgroupVersion}, ${place}) at ${address} (${source})`
    const forwarded = 'ports that containers of a VM publish are forwarded to an address of this machine'
    return { status: 'ok', message: locality === 'local' ? message : `${message}; ${forwarded}` }
  },
}

export const engineStorage: Check = {
  id: 'engine-storage',
  title: 'Storage',
  group: GROUP,
  deadlineMs: QUESTION_DEADLINE_MS,
  needs: 'engine',
  examine: async (context) => {
    const { storageDriver, rootDirectory, locality } = (await context.engine()).engine
    if (storageDriver === 'vfs')
      return {
        status: 'warning',
        message: 'vfs, which copies each layer whole: images of VMs take many times their size',
        remedy: 'give the engine overlay2: `"storage-driver": "overlay2"` in its daemon.json, on ext4 or xfs',
      }
    if (locality === 'remote')
      return { status: 'ok', message: `${storageDriver}; its free space cannot be seen from here` }
    return storageRoom(storageDriver, rootDirectory)
  },
}

async function storageRoom(driver: string, directory: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(directory)
  const freeMib = (bavail * bsize) / 2 ** 20
  const message = `${driver} in ${directory}, ${mib(freeMib)} free`
  const remedy =
    'make room there: `testkernels prune --all` gives back all that testkernels keeps, `docker system prune` more'
  if (freeMib < START_NEEDS_MIB)
    return { status: 'failure', message: `${message}, and a saved VM needs ${mib(START_NEEDS_MIB)}`, remedy }
  if (freeMib < IMAGES_NEED_MIB)
    return { status: 'warning', message: `${message}, and images and saved VMs take ${mib(IMAGES_NEED_MIB)}`, remedy }
  return { status: 'ok', message }
}

export const buildkit: Check = {
  id: 'buildkit',
  title: 'BuildKit',
  group: GROUP,
  deadlineMs: BUILDKIT_DEADLINE_MS,
  needs: 'engine',
  examine: async (context, signal) => {
    const { settings, log } = context
    const { host } = await context.engine()
    const builder = host.builder({ signal, log })
    await using connected = await builder.connect()
    const which =
      builder.kind === 'engine' ? "the engine's own" : `the buildkitd of BUILDKIT_HOST (${settings.buildkitHost})`
    return { status: 'ok', message: `${which} answers, over ${TRANSPORTS[connected.transport]}` }
  },
}

const TRANSPORTS = { upgrade: 'an upgraded connection', plain: 'HTTP/2', tls: 'TLS' } as const

export const leftovers: Check = {
  id: 'leftovers',
  title: 'Leftovers',
  group: GROUP,
  deadlineMs: QUESTION_DEADLINE_MS,
  needs: 'engine',
  examine: async (context) => {
    const [inEngine, directories] = await Promise.all([
      (await context.engine()).abandoned(),
      abandonedRunDirectories(context.settings.runtimeDirectory),
    ])
    const kinds = [...inEngine.map(({ kind }) => kind), ...directories.map(() => 'run directory')]
    if (kinds.length === 0) return { status: 'ok', message: 'runs that ended left nothing' }
    const message = `runs that ended left ${counted(kinds)}`
    return inEngine.length === 0
      ? { status: 'ok', message: `${message}; the next start removes that` }
      : { status: 'warning', message, remedy: '`testkernels prune` removes it, and so does the next start' }
  },
}

/** `2 containers, 1 volume` */
export function counted(kinds: readonly string[]): string {
  const plural = (kind: string) => (kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`)
  return [...new Set(kinds)]
    .map((kind) => {
      const count = kinds.filter((other) => other === kind).length
      return `${count} ${count === 1 ? kind : plural(kind)}`
    })
    .join(', ')
}
