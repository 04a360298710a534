import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Architecture } from '../../arch/index.ts'
import { type Engine, inspectContainer } from '../../engine/index.ts'
import { type DockerMachine, dialSocket, dialWhenThere } from './machine.ts'

/** The engine runs on this machine: containers have our directories, and can be reached at their addresses. */
export function localMachine(engine: Engine): DockerMachine {
  return {
    availableMib,
    processor: () => processor(engine.arch),
    boot: async () => (await readOrEmpty('/proc/sys/kernel/random/boot_id')).trim(),
    kvm,
    mountSockets: ({ directory, target }) => ({ kind: 'bind', source: directory, target, access: 'read-write' }),
    dialler:
      (_, { directory }) =>
      (name, signal) =>
        dialWhenThere(() => dialSocket(join(directory, name), signal), signal),
    addressOf: async ({ id }) => (await inspectContainer(engine, id))?.ipAddress,
    removeSockets: async () => {},
  }
}

/** What the kernel can give without swapping; undefined on systems that do not tell. */
async function availableMib(): Promise<number | undefined> {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(await readOrEmpty('/proc/meminfo'))?.[1]
  return kib === undefined ? undefined : Number(kib) / 1024
}

async function processor({ cpuinfoFields }: Architecture): Promise<string> {
  const lines = (await readOrEmpty('/proc/cpuinfo')).split('\n')
  const known = lines.filter((line) => cpuinfoFields.some((field) => new RegExp(`^${field}\\s*:`).test(line)))
  return createHash('sha256')
    .update([...new Set(known)].join('\n'))
    .digest('hex')
}

async function kvm(): Promise<string> {
  const [drivers, node] = await Promise.all([readOrEmpty('/proc/misc'), stat('/dev/kvm').catch(() => undefined)])
  const driver = / kvm$/m.test(drivers) ? 'driver' : 'no driver'
  return node === undefined ? `${driver}, no device` : `${driver}, ${node.mode.toString(8)} ${node.uid} ${node.gid}`
}

async function readOrEmpty(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch(() => '')
}
