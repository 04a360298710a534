import type { Logger } from '../log/index.ts'
import { createLogger } from '../log/index.ts'
import { type KernelEntry, type KernelOptions, parseKernelEntry, readSettings } from '../options/index.ts'
import { openHost } from './host.ts'
import { startVm } from './start.ts'
import type { StartedKernelVm } from './started-kernel-vm.ts'
import { Timeline } from './timeline.ts'

export interface KernelVmStartOptions {
  /** Cancels the start; what was started is ended. */
  readonly signal?: AbortSignal
  /** @default silent, or standard error with `TESTKERNELS_DEBUG=1` */
  readonly log?: Logger
}

/**
 * A VM to be started, in the manner of a Testcontainers module. Each `withX` gives a new one; nothing is changed in place.
 *
 *     await using vm = await new KernelVm({ kernel: 'debian:bookworm', cgroup: 1 }).withMemoryMib(4096).start()
 */
export class KernelVm {
  readonly #name: string
  readonly #options: KernelOptions

  /** @throws InvalidOptionError; UnknownKernelError */
  constructor(options: KernelOptions & { readonly name?: string }) {
    const { name = 'kernel', ...rest } = options
    this.#name = name
    this.#options = rest
    parseKernelEntry(name, rest)
  }

  /** The options with all defaults. */
  get entry(): KernelEntry {
    return parseKernelEntry(this.#name, this.#options)
  }

  /** Hostname of the guest and the name in messages. @default 'kernel' */
  withName(name: string): KernelVm {
    return new KernelVm({ ...this.#options, name })
  }

  /** @default 2 */
  withCgroup(cgroup: 1 | 2): KernelVm {
    return this.#with({ cgroup })
  }

  /** @default 2048 */
  withMemoryMib(memoryMib: number): KernelVm {
    return this.#with({ memoryMib })
  }

  /** @default 2 */
  withCpus(cpus: number): KernelVm {
    return this.#with({ cpus })
  }

  /** Images that the guest's dockerd has from the start; in place of those named before. @default none */
  withImages(images: NonNullable<KernelOptions['images']>): KernelVm {
    return this.#with({ images })
  }

  /** Clones kept ready for `fork()`. @default 0 */
  withSpares(spares: number): KernelVm {
    return this.#with({ spares })
  }

  /** `none`: boots cold, each time. @default 'saved' */
  withTemplate(template: 'saved' | 'none'): KernelVm {
    return this.#with({ template: template === 'saved' })
  }

  /** Builds what is missing, boots, and waits until the guest's dockerd answers. @throws as `bootVm` and `ensureVmImage` do */
  async start({ signal, log }: KernelVmStartOptions = {}): Promise<StartedKernelVm> {
    const settings = readSettings()
    const logger =
      log ?? createLogger({ write: (line) => settings.debug && process.stderr.write(`${line}\n`), level: 'debug' })
    const timeline = new Timeline()
    const host = await timeline.time('engine', () => openHost({ settings, log: logger, signal }))
    return await startVm({ host, entry: this.entry, timeline, log: logger, ...(signal && { signal }) })
  }

  #with(change: Partial<KernelOptions>): KernelVm {
    return new KernelVm({ ...this.#options, ...change, name: this.#name })
  }
}
