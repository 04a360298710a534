import { chmod, copyFile, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf } from '../errors/index.ts'
import { removeOlder } from '../files/index.ts'
import { startDeadline } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { StartedKernelVm } from '../vm/index.ts'

/** Of our own tools in the guest, because the rootfs need not have it. */
const DMESG = '/.testkernels/bin/dmesg'
/** A guest that is too busy must not hold up the end of the run. */
const DMESG_DEADLINE_MS = 3_000
const KEPT_MS = 7 * 24 * 3_600_000

export interface RunLogsOptions {
  readonly cacheDirectory: string
  readonly log: Logger
}

/**
 * Keeps what the guests of one run have to say: for each entry its console and, if it lived to the end, its kernel's log. In a
 * directory of the run's own, for people and for CI to collect.
 */
export class RunLogs {
  readonly #runs: string
  readonly #log: Logger
  readonly #kept = new Set<StartedKernelVm>()
  #directory: Promise<string> | undefined

  constructor({ cacheDirectory, log }: RunLogsOptions) {
    this.#runs = join(cacheDirectory, 'runs')
    this.#log = log
  }

  /** Says where the logs will be, and sees to it that those of a VM that dies are kept. */
  async follow(vm: StartedKernelVm): Promise<void> {
    this.#directory ??= this.#make()
    await this.#directory
    vm.gone.addEventListener('abort', () => void this.keep(vm), { once: true })
  }

  /** Before the VM is ended, or when it has died; once. A log that cannot be had is no failure of the run. */
  async keep(vm: StartedKernelVm): Promise<void> {
    if (this.#kept.has(vm) || this.#directory === undefined) return
    this.#kept.add(vm)
    try {
      const directory = await this.#directory
      const file = (kind: string) => join(directory, `${vm.hostname}.${kind}.log`)
      await copyFile(vm.consolePath, file('console'))
      if (!vm.gone.aborted) await writeFile(file('dmesg'), await kernelLog(vm), { mode: 0o600 })
    } catch (thrown) {
      this.#log.debug(`cannot keep the logs of ${vm.hostname}: ${reasonOf(thrown)}`)
    }
  }

  async #make(): Promise<string> {
    const started = new Date().toISOString().replaceAll(':', '-').replace(/\..*/, '')
    // Those of runs that nobody will read any more.
    await removeOlder(this.#runs, { keptMs: KEPT_MS })
    // What guests say may be secret to others on this machine.
    await mkdir(this.#runs, { recursive: true })
    await chmod(this.#runs, 0o700)
    // Private, and this run's alone: a process id may be another container's as well.
    const directory = await mkdtemp(join(this.#runs, `${started}-`))
    this.#log.info(`consoles and kernel logs of this run: ${directory}`)
    return directory
  }
}

async function kernelLog(vm: StartedKernelVm): Promise<string> {
  using deadline = startDeadline({
    ms: DMESG_DEADLINE_MS,
    onPassed: () => new Error(`dmesg did not end within ${DMESG_DEADLINE_MS / 1000} s`),
    signal: vm.gone,
  })
  return (await vm.exec([DMESG], { signal: deadline.signal })).stdout
}
