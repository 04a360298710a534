import { randomBytes } from 'node:crypto'
import { mkdir, open, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../errors/index.ts'
import { bootNeedsMib, CLONE_NEEDS_MIB, makeRunDirectory } from '../vm/index.ts'
import type { Check, Finding } from './check.ts'

const GROUP = 'This machine'
/** As package.json's `engines` has it. */
export const OLDEST_NODE = '20.19'
const DIRECTORY_DEADLINE_MS = 10_000
/** The largest thing that goes into the cache is a console; several of them, and verdicts. */
const CACHE_NEEDS_MIB = 64
/** Sockets, and files of a line that tell workers how VMs fare. */
const RUN_NEEDS_MIB = 4
const WRITTEN_BYTES = 2 ** 20

export const node: Check = {
  id: 'node',
  title: 'Node',
  group: GROUP,
  deadlineMs: 1_000,
  needs: 'nothing',
  examine: async () => nodeFinding(process.version),
}

export function nodeFinding(version: string): Finding {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number)
  const [oldestMajor = 0, oldestMinor = 0] = OLDEST_NODE.split('.').map(Number)
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return { status: 'ok', message: version }
  return {
    status: 'failure',
    message: `${version}, and ${OLDEST_NODE} is the oldest that will do`,
    remedy: `install Node ${OLDEST_NODE} or later`,
  }
}

export const cacheDirectory: Check = {
  id: 'cache-directory',
  title: 'Cache directory',
  group: GROUP,
  deadlineMs: DIRECTORY_DEADLINE_MS,
  needs: 'nothing',
  examine: async ({ settings }) => {
    const directory = settings.cacheDirectory
    const remedy = `make room there, or set TESTKERNELS_CACHE_DIR to a directory that this user can write`
    try {
      await mkdir(directory, { recursive: true })
      await tryWriting(directory)
    } catch (cause) {
      return { status: 'failure', message: `${directory} cannot be written: ${reasonOf(cause)}`, remedy }
    }
    return await room(directory, { needsMib: CACHE_NEEDS_MIB, remedy })
  },
}

export const runDirectory: Check = {
  id: 'run-directory',
  title: 'Run directory',
  group: GROUP,
  deadlineMs: DIRECTORY_DEADLINE_MS,
  needs: 'nothing',
  examine: async ({ settings }) => {
    const parent = settings.runtimeDirectory
    const remedy = `make room there, or set TESTKERNELS_RUN_DIR to a directory that this user can write, such as /tmp`
    await using directory = await makeRunDirectory(parent)
    try {
      await tryWriting(directory.path)
    } catch (cause) {
      return { status: 'failure', message: `${parent} cannot be written: ${reasonOf(cause)}`, remedy }
    }
    return await room(parent, { needsMib: RUN_NEEDS_MIB, remedy })
  },
}

export const memory: Check = {
  id: 'memory',
  title: 'Memory',
  group: GROUP,
  deadlineMs: DIRECTORY_DEADLINE_MS,
  needs: 'engine',
  examine: async ({ engine, entry }) => {
    const available = await (await engine()).host.availableMib()
    if (available === undefined)
      return { status: 'ok', message: "not known: the engine's machine is not this one, and does not tell" }
    const needed = bootNeedsMib(entry)
    const message = `${mib(available)} free; a boot needs ${mib(needed)}, a start from a saved VM ${mib(CLONE_NEEDS_MIB)}`
    const remedy = 'end what takes the memory, or give the VM less (memoryMib, --memory-mib)'
    if (available < CLONE_NEEDS_MIB) return { status: 'failure', message, remedy }
    return available < needed ? { status: 'warning', message, remedy } : { status: 'ok', message }
  },
}

/** Free space is no proof that one may write, nor is permission: quotas, read-only mounts and full disks show when it is done. */
async function tryWriting(directory: string): Promise<void> {
  const file = join(directory, `.doctor-${randomBytes(4).toString('hex')}`)
  try {
    await using handle = await open(file, 'w')
    await handle.writeFile(Buffer.alloc(WRITTEN_BYTES))
    await handle.sync()
  } finally {
    await rm(file, { force: true })
  }
}

export async function room(
  directory: string,
  { needsMib, remedy }: { readonly needsMib: number; readonly remedy: string },
): Promise<Finding> {
  const { bavail, bsize } = await statfs(directory)
  const freeMib = (bavail * bsize) / 2 ** 20
  const message = `${directory}, ${mib(freeMib)} free`
  return freeMib < needsMib
    ? { status: 'warning', message: `${message}, and ${mib(needsMib)} may be needed`, remedy }
    : { status: 'ok', message }
}

/** `512 MiB`, `21.4 GiB` */
export function mib(value: number): string {
  return value < 1024 ? `${Math.floor(value)} MiB` : `${(value / 1024).toFixed(1)} GiB`
}
