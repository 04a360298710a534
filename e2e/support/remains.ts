import { readdirSync, readFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import Docker from 'dockerode'

const docker = new Docker()

/** What VMs of this process may leave: containers, volumes, QEMUs, directories with sockets, consoles. */
export class Remains {
  readonly #before: ReadonlySet<string>

  private constructor(before: ReadonlySet<string>) {
    this.#before = before
  }

  static async before(): Promise<Remains> {
    return new Remains(new Set(await all()))
  }

  /** What there is now and was not then. */
  async added(): Promise<readonly string[]> {
    return (await all()).filter((thing) => !this.#before.has(thing))
  }
}

async function all(): Promise<string[]> {
  const filters = { label: ['testkernels.run'] }
  const [containers, { Volumes: volumes }] = await Promise.all([
    docker.listContainers({ all: true, filters }),
    docker.listVolumes({ filters }),
  ])
  return [
    ...containers.map(({ Id }) => `container ${Id}`),
    ...(volumes ?? []).map(({ Name }) => `volume ${Name}`),
    ...qemus(),
    ...(await readdir(process.env['TESTKERNELS_RUN_DIR'] ?? tmpdir()))
      .filter((name) => name.startsWith(`testkernels-${process.pid}-`))
      .map((name) => `directory ${name}`),
  ]
}

function qemus(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && commandOf(name).startsWith('qemu-system'))
    .map((pid) => `qemu ${pid}`)
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8')
  } catch {
    return ''
  }
}
