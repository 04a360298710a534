import { execFile } from 'node:child_process'
import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { debianMirror } from '../../src/image/index.ts'
import { packTarball, root } from '../full/consumers/consumer.ts'
import { vmImageNames } from '../support/templates.ts'

const execute = promisify(execFile)
const stage = join(root, '.testkernels/kvm')
/** Same versions as ours, without what the guest has no use for. */
const PACKAGES = ['vitest', 'dockerode']
const BOOT_TIMEOUT_MS = 900_000
/** A probe guest is in user space after 10 s where nothing else runs, and after 30 s with a machine that is busy. */
const PROBE_TIMEOUT_MS = 300_000

export interface Outcome {
  readonly exitCode: number | undefined
  readonly stdout: string
  readonly stderr: string
}

interface RunOptions {
  /** Who runs it. @default root */
  readonly as?: 'root' | 'tester'
  /** Variables beside those that testkernels needs there. */
  readonly env?: Readonly<Record<string, string>>
}

/** The VM in which testkernels runs with KVM: emulated, with kvm_amd, Docker and Node, and testkernels as it is published. */
export class OuterVm implements AsyncDisposable {
  readonly #vm: StartedKernelVm
  readonly #mirror: string | undefined

  private constructor(vm: StartedKernelVm, mirror: string | undefined) {
    this.#vm = vm
    this.#mirror = mirror
  }

  static async start(): Promise<OuterVm> {
    const outer = await new KernelVm({
      name: 'outer',
      // The flavour that has KVM; the one for clouds has none.
      kernel: 'debian:bookworm/amd64',
      rootfs: {
        dockerfile: join(root, 'fixtures/kvm/Dockerfile'),
        buildArgs: { BASE: process.env['TESTKERNELS_E2E_BASE'] ?? '' },
      },
      memoryMib: 6144,
      scratchMib: 32_768,
      accelerator: 'tcg',
      images: await innerImages(),
      bootTimeoutMs: BOOT_TIMEOUT_MS,
    }).start()
    const vm = new OuterVm(outer, (await debianMirror({ debianMirror: process.env['TESTKERNELS_DEBIAN_MIRROR'] }))?.url)
    try {
      await vm.#install()
      await vm.succeed('modprobe kvm_amd')
      return vm
    } catch (thrown) {
      await outer.stop()
      throw thrown
    }
  }

  /** What a shell does in it; `/app` is where it begins. */
  async run(script: string, { as = 'root', env = {} }: RunOptions = {}): Promise<Outcome> {
    const variables = {
      HOME: as === 'root' ? '/root' : '/home/tester',
      NO_COLOR: '1',
      TESTKERNELS_KVM_PROBE_TIMEOUT_MS: String(PROBE_TIMEOUT_MS),
      // The name of an image is the digest of how it is built, and that has the mirror in it.
      ...(this.#mirror !== undefined && { TESTKERNELS_DEBIAN_MIRROR: this.#mirror }),
      ...env,
    }
    const user = as === 'root' ? [] : ['setpriv', '--reuid', as, '--regid', as, '--init-groups']
    const assignments = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
    return await this.#vm.exec([...user, 'env', '--chdir=/app', ...assignments, 'sh', '-c', script])
  }

  /** What it printed on standard output. */
  async succeed(script: string, options?: RunOptions): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(script, options)
    if (exitCode !== 0) throw new Error(`status ${exitCode}: ${script}\n${stdout}${stderr}`)
    return stdout
  }

  /** The facts that one of the programs of fixtures/kvm prints. */
  async facts<Facts>(program: string, options?: RunOptions): Promise<Facts> {
    return JSON.parse(await this.succeed(`node ${program}`, options)) as Facts
  }

  async #install(): Promise<void> {
    const archive = await pack()
    const { exitCode, stderr } = await this.#vm.exec(['sh', '-c', 'mkdir /app && tar -C /app -xz'], { stdin: archive })
    if (exitCode !== 0) throw new Error(`cannot unpack testkernels: ${stderr}`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#vm.stop()
  }
}

/** The image of the inner VMs and the one that it is made from, as the outer engine has them: the inner one then builds nothing. */
async function innerImages(): Promise<string[]> {
  const [name] = await vmImageNames()
  if (name === undefined) throw new Error('the image of debian:bookworm has no name')
  return [process.env['TESTKERNELS_E2E_BASE'] ?? '', name]
}

/** testkernels as it is published, what its tests need, and the programs: a tar, compressed. */
async function pack(): Promise<Buffer> {
  const { devDependencies, dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const versions = { ...devDependencies, ...dependencies }
  await rm(stage, { recursive: true, force: true })
  await mkdir(stage, { recursive: true })
  await cp(join(root, 'fixtures/kvm'), stage, { recursive: true })
  await cp(process.env['TESTKERNELS_E2E_TAR'] ?? '', join(stage, 'busybox.tar'))
  await writeFile(join(stage, 'package.json'), JSON.stringify({ name: 'inner', private: true, type: 'module' }))
  const packages = PACKAGES.map((name) => `${name}@${versions[name]}`)
  const install = ['install', '--silent', '--ignore-scripts', '--no-audit', '--no-fund']
  await execute('npm', [...install, ...packages, await packTarball()], { cwd: stage })
  const tar = ['-C', stage, '-cz', '--exclude=*.map', '--exclude=*.md', '.']
  const { stdout } = await execute('tar', tar, { encoding: 'buffer', maxBuffer: 2 ** 28 })
  return stdout
}
