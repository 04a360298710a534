import { createLogger, type Logger } from '../log/index.ts'
import {
  type GuestInit,
  type KernelEntry,
  type KernelOptions,
  parseKernelEntry,
  readSettings,
} from '../options/index.ts'
import { launchVm } from './launch.ts'
import type { LogConsumer, VmRequest } from './plan.ts'
import { openSession } from './session.ts'
import { newStart, Timeline } from './start.ts'
import type { StartedKernelVm } from './started-kernel-vm.ts'
import type { WaitStrategy } from './wait.ts'

export interface KernelVmStartOptions {
  /** Cancels the start; what was started is ended. */
  readonly signal?: AbortSignal
  /** @default silent, or standard error with `TESTKERNELS_DEBUG=1` */
  readonly log?: Logger
}

/** What is no option of an entry, because it is code. */
type Hooks = Pick<VmRequest, 'logConsumer' | 'waitStrategy'>

/**
 * A VM to be started, in the manner of a Testcontainers module. Each `withX` gives a new one; nothing is changed in place.
 *
 *     await using vm = await new KernelVm({ kernel: 'debian:bookworm', cgroup: 1 }).withMemoryMib(4096).start()
 */
export class KernelVm {
  /** The options with all defaults. */
  readonly entry: KernelEntry
  readonly #options: KernelOptions
  #hooks: Hooks = {}

  /** @throws InvalidOptionError; UnknownKernelError */
  constructor(options: KernelOptions & { readonly name?: string }) {
    const { name = 'kernel', ...rest } = options
    this.#options = rest
    this.entry = parseKernelEntry(name, rest)
  }

  /** Hostname of the guest and the name in messages. @default 'kernel' */
  withName(name: string): KernelVm {
    return this.#with({}, { name })
  }

  /** @default 2 */
  withCgroup(cgroup: 1 | 2): KernelVm {
    return this.#with({ cgroup })
  }

  /** `partial` accepts a kernel that lacks cgroup controllers. @default 'all' */
  withControllers(controllers: 'all' | 'partial'): KernelVm {
    return this.#with({ controllers })
  }

  /** @default 'debian:trixie' */
  withRootfs(rootfs: NonNullable<KernelOptions['rootfs']>): KernelVm {
    return this.#with({ rootfs })
  }

  /** `systemd` of the rootfs as PID 1, or a command that the guest is for. @default 'testkernels', which runs dockerd */
  withInit(init: GuestInit): KernelVm {
    return this.#with({ init: typeof init === 'string' ? init : [...init] })
  }

  /** More arguments of the guest's kernel; in place of those given before. @default none */
  withKernelArguments(kernelArguments: readonly string[]): KernelVm {
    return this.#with({ kernelArguments: [...kernelArguments] })
  }

  /** Modules that are loaded at boot; in place of those named before. @default none */
  withModules(modules: readonly string[]): KernelVm {
    return this.#with({ modules: [...modules] })
  }

  /** Set at boot; in place of those given before. @default none */
  withSysctls(sysctls: Readonly<Record<string, string>>): KernelVm {
    return this.#with({ sysctls: { ...sysctls } })
  }

  /** What its dockerd finds in daemon.json; in place of what was given before. @default none */
  withDaemon(daemon: NonNullable<KernelOptions['daemon']>): KernelVm {
    return this.#with({ daemon: { ...daemon } })
  }

  /** What the guest may reach; in place of what was said before. @default 'all' */
  withEgress(egress: NonNullable<KernelOptions['egress']>): KernelVm {
    return this.#with({ egress })
  }

  /** A network on which VMs that name it reach each other by name. @default 'none' */
  withNetwork(network: string): KernelVm {
    return this.#with({ network })
  }

  /** The proxies of its dockerd. @default 'inherit' */
  withProxy(proxy: NonNullable<KernelOptions['proxy']>): KernelVm {
    return this.#with({ proxy })
  }

  /** A directory like /etc/docker/certs.d with the CAs of registries, or `none`. @default 'inherit' */
  withRegistryCertificates(registryCertificates: string): KernelVm {
    return this.#with({ registryCertificates })
  }

  /** @default 2048 */
  withMemoryMib(memoryMib: number): KernelVm {
    return this.#with({ memoryMib })
  }

  /** @default 2 */
  withCpus(cpus: number): KernelVm {
    return this.#with({ cpus })
  }

  /** Size of the guest's writable disk in MiB. @default 8192 */
  withScratchMib(scratchMib: number): KernelVm {
    return this.#with({ scratchMib })
  }

  /** Where the guest finds its devices. @default 'auto' */
  withMachine(machine: 'auto' | 'mmio' | 'pci'): KernelVm {
    return this.#with({ machine })
  }

  /** @default 'auto' */
  withAccelerator(accelerator: 'auto' | 'kvm' | 'tcg'): KernelVm {
    return this.#with({ accelerator })
  }

  /** Images that the guest's dockerd has from the start; in place of those named before. @default none */
  withImages(images: NonNullable<KernelOptions['images']>): KernelVm {
    return this.#with({ images })
  }

  /** Clones kept ready for `fork()`. @default 'auto', which is none here */
  withSpares(spares: 'auto' | number): KernelVm {
    return this.#with({ spares })
  }

  /** `none`: boots cold, each time. @default 'saved' */
  withTemplate(template: 'saved' | 'none'): KernelVm {
    return this.#with({ template: template === 'saved' })
  }

  /** What reports of the guest's kernel do. @default all fail, but warn of what a slow machine causes under software emulation */
  withKernelReports(kernelReports: NonNullable<KernelOptions['kernelReports']>): KernelVm {
    return this.#with({ kernelReports })
  }

  /** Sockets and ports of the guest that this machine has as well; in place of those given before. @default none */
  withForwards(forwards: NonNullable<KernelOptions['forwards']>): KernelVm {
    return this.#with({ forwards })
  }

  /** Ports of this machine that the guest reaches at `host.testkernels.internal`; in place of those given before. @default none */
  withHostPorts(hostPorts: readonly number[]): KernelVm {
    return this.#with({ hostPorts: [...hostPorts] })
  }

  /** Directories of this machine that the guest has; in place of those given before. @default none */
  withMounts(mounts: NonNullable<KernelOptions['mounts']>): KernelVm {
    return this.#with({ mounts })
  }

  /** Longest wait in milliseconds until the guest's dockerd answers. @default 240_000 */
  withStartupTimeout(bootTimeoutMs: number): KernelVm {
    return this.#with({ bootTimeoutMs })
  }

  /**
   * Called for each VM, forks included, with a stream of strings: the lines of its console from the first on.
   * @default nobody hears them
   */
  withLogConsumer(logConsumer: LogConsumer): KernelVm {
    return this.#with({}, { logConsumer })
  }

  /** What a start waits for, forks' as well, when the guest's dockerd answers. @default nothing more */
  withWaitStrategy(waitStrategy: WaitStrategy): KernelVm {
    return this.#with({}, { waitStrategy })
  }

  /**
   * Builds what is missing, boots, and waits until the guest's dockerd answers.
   * @throws as `launchVm` and `ensureVmImage` do; VmNotReadyError
   */
  async start({ signal, log }: KernelVmStartOptions = {}): Promise<StartedKernelVm> {
    const settings = readSettings()
    const ownLog = createLogger({
      write: (line) => settings.debug && process.stderr.write(`${line}\n`),
      level: 'debug',
    })
    const timeline = new Timeline()
    const session = await timeline.time('engine', () => openSession({ settings, log: log ?? ownLog, signal }))
    const start = newStart(session, { hostname: this.entry.name, timeline, signal })
    return await launchVm({ session, entry: this.entry, ...this.#hooks }, start)
  }

  #with(
    change: Partial<KernelOptions>,
    { name = this.entry.name, ...hooks }: Hooks & { readonly name?: string } = {},
  ): KernelVm {
    const changed = new KernelVm({ ...this.#options, ...change, name })
    changed.#hooks = { ...this.#hooks, ...hooks }
    return changed
  }
}
