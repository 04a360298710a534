import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'

const run = promisify(execFile)
const main = join(import.meta.dirname, '../../dist/cli/main.js')
let image: Promise<string> | undefined
const docker = new Docker()
const MOUNT = '/var/lib/testkernels/templates'
const MARKS = '/var/lib/testkernels/marks'

/** A volume with templates of a test's own, and what is in it. */
export class TemplateVolume implements AsyncDisposable {
  readonly name: string
  readonly #previous = process.env['TESTKERNELS_TEMPLATE_VOLUME']

  private constructor(name: string) {
    this.name = name
    process.env['TESTKERNELS_TEMPLATE_VOLUME'] = name
  }

  /** What is noted of the templates is in one beside it. */
  get #marks(): string {
    return `${this.name}-marks`
  }

  /** Programs and VMs that are started from here on use it. @param sizeMib of a disk that gets full. @default none */
  static async create({ sizeMib }: { readonly sizeMib?: number } = {}): Promise<TemplateVolume> {
    const name = `testkernels-e2e-${process.pid}-${Math.random().toString(36).slice(2, 8)}`
    const DriverOpts: Record<string, string> =
      sizeMib === undefined ? {} : { type: 'tmpfs', device: 'tmpfs', o: `size=${sizeMib}m,mode=0777` }
    await docker.createVolume({ Name: name, DriverOpts })
    await docker.createVolume({ Name: `${name}-marks` })
    return new TemplateVolume(name)
  }

  /** Runs a shell script where the templates are, each a directory. */
  async shell(script: string): Promise<string> {
    const volumes = ['-v', `${this.name}:${MOUNT}`, '-v', `${this.#marks}:${MARKS}`]
    const args = ['run', '--rm', ...volumes, '-w', MOUNT, '--entrypoint', 'sh']
    const { stdout } = await run('docker', [...args, await vmImage(), '-euc', script])
    return stdout.trim()
  }

  /** The names of the templates that are whole. */
  async keys(): Promise<readonly string[]> {
    return (await this.shell('ls -1')).split('\n').filter((name) => name !== '')
  }

  /** The volumes in which VMs become templates at the moment. */
  async makings(): Promise<readonly string[]> {
    const boxes = await docker.listContainers({ filters: { volume: [this.name] } })
    const mounted = boxes.flatMap(({ Mounts }) => Mounts.map(({ Name = '' }) => Name))
    return mounted.filter((name) => name.startsWith('testkernels-making-'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#previous === undefined) delete process.env['TESTKERNELS_TEMPLATE_VOLUME']
    else process.env['TESTKERNELS_TEMPLATE_VOLUME'] = this.#previous
    await docker.getVolume(this.name).remove()
    await docker.getVolume(this.#marks).remove()
  }
}

/** Of this source: others on the engine are of other sources. */
export async function vmImage(): Promise<string> {
  image ??= run(process.execPath, [main, 'build', '--kernel', 'debian:bookworm']).then(({ stdout }) => stdout.trim())
  return await image
}

/** What it is called. */
export async function vmImageNames(): Promise<readonly string[]> {
  return (await docker.getImage(await vmImage()).inspect()).RepoTags ?? []
}
