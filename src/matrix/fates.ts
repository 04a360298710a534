import { readdirSync, renameSync } from 'node:fs'
import { rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { reasonOf, titleOf, visible } from '../errors/index.ts'
import { DirectoryUnusableError, replaceFile, replaceFileSync } from '../files/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { kernelText } from '../options/index.ts'
import { type StartedKernelVm, type VmAddresses, workerEnvironment } from '../vm/index.ts'
import {
  type Failure,
  type Fate,
  hasFailure,
  type LeaseReply,
  type ProvidedKernel,
  textOfFate,
  type VmFacts,
} from '../worker/index.ts'
import type { VmLease } from './vm-leases.ts'

/** The file that says what becomes of one VM. */
export interface FateFile {
  readonly path: string
  /** Resolves when the start of the VM has ended, well or not, and the file says how. */
  readonly written: Promise<void>
}

export interface FatesOptions {
  /** @default silent */
  readonly log?: Logger
  readonly reports?: ReportSockets
}

/** Where workers hear what the kernel of a VM reports. @default nowhere */
export interface ReportSockets {
  socketFor(vm: StartedKernelVm): Promise<string | undefined>
}

const nobody: ReportSockets = { socketFor: async () => undefined }

/** Beside the file of a fate: what takes its place where that cannot be written. A rename needs no room. */
const UNKNOWN = '.unknown'

/**
 * Tells workers, which are other processes or threads, what becomes of VMs: a file for each, in a private directory. Plain files,
 * because they need no connection and no event loop of ours to be read.
 */
export class Fates {
  readonly #directory: () => Promise<string>
  readonly #log: Logger
  readonly #reports: ReportSockets
  #count = 0

  constructor(directory: () => Promise<string>, { log = silentLogger, reports = nobody }: FatesOptions = {}) {
    this.#directory = directory
    this.#log = log
    this.#reports = reports
  }

  /**
   * Writes down whether the VM starts, and how it dies if it does. Where that is not possible any more, because a disk is full, workers
   * read that it is so: that was written before.
   * @param addresses where workers reach it, once it has started. @default the VM's own addresses
   * @throws DirectoryUnusableError where nothing can be written from the start
   */
  async follow(
    { started }: Pick<VmLease, 'started'>,
    addresses: (vm: StartedKernelVm) => VmAddresses | undefined = (vm) => vm,
  ): Promise<FateFile> {
    // It may fail before the directory is there.
    started.catch(() => {})
    const directory = await this.#directory()
    const path = join(directory, `${this.#count++}.json`)
    try {
      await writeFile(path + UNKNOWN, JSON.stringify({ failure: failureOf(unwritable(directory)) } satisfies Fate))
    } catch (cause) {
      throw unwritable(directory, cause)
    }
    return { path, written: this.#record(started, addresses, (fate) => this.#write(path, fate)) }
  }

  async #record(
    started: Promise<StartedKernelVm>,
    addresses: (vm: StartedKernelVm) => VmAddresses | undefined,
    write: (fate: Fate) => Promise<void>,
  ): Promise<void> {
    try {
      const vm = await started
      const reports = await this.#reports.socketFor(vm)
      const ready = {
        kernel: describeVm({ entry: vm.entry, ...addressesOf(addresses(vm) ?? vm) }),
        facts: factsOf(vm),
        ...(reports !== undefined && { reports }),
      }
      await write(ready)
      const tellDeath = () => write({ ...ready, failure: failureOf(vm.gone.reason) })
      if (vm.gone.aborted) await tellDeath()
      else vm.gone.addEventListener('abort', tellDeath, { once: true })
    } catch (thrown) {
      await write({ failure: failureOf(thrown) })
    }
  }

  /** Never rejects: nobody waits for the file of a VM that dies. */
  async #write(path: string, fate: Fate): Promise<void> {
    try {
      await replaceFile(path, textOfFate(fate))
    } catch (thrown) {
      // The directory goes with the run, and then nobody reads any more.
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return
      this.#log.warn(reasonOf(unwritable(dirname(path), thrown)))
      await rename(path + UNKNOWN, path).catch(() => {})
    }
  }
}

/** Answers a worker when there is something to read, so that nobody has to look twice. */
export async function tellWhenWritten(fate: Promise<FateFile>, connection: Writable): Promise<void> {
  try {
    const { path, written } = await fate
    await written
    const reply: LeaseReply = { fate: path }
    connection.write(`${JSON.stringify(reply)}\n`)
  } catch {
    connection.destroy()
  }
}

/** Whether a worker that was told by one of these files has said that a test failed on the VM. */
export async function hasFailureIn(fates: readonly Promise<Pick<FateFile, 'path'>>[]): Promise<boolean> {
  const told = await Promise.allSettled(fates)
  return told.some((one) => one.status === 'fulfilled' && hasFailure(one.value.path))
}

function unwritable(directory: string, cause?: unknown): DirectoryUnusableError {
  return new DirectoryUnusableError({
    what: `workers cannot be told what becomes of their VM: ${directory} cannot be written`,
    remedy: 'make room there, or set TESTKERNELS_RUN_DIR to a directory that has some',
    cause,
  })
}

/**
 * Tells all workers that have heard of a VM in this directory, or wait to, that they have it no more. For the end of who wrote the files.
 * Never throws: where the reason cannot be written, they hear of a failure all the same.
 */
export function failAll(directory: string, reason: unknown): void {
  const fate = JSON.stringify({ failure: failureOf(reason) } satisfies Fate)
  for (const name of namesIn(directory)) {
    if (!name.endsWith(UNKNOWN)) continue
    const path = join(directory, name)
    // A disk that is full takes no reason, and what is cut off could not be read.
    attempt(() => replaceFileSync(path, fate))
    attempt(() => renameSync(path, path.slice(0, -UNKNOWN.length)))
  }
}

/** One that was removed has none, and nobody reads there any more. */
function namesIn(directory: string): readonly string[] {
  return attempt(() => readdirSync(directory)) ?? []
}

/** Does what may fail for one file and is still to be done for the others. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}

export type DescribedVm = Pick<StartedKernelVm, 'entry' | 'dockerHost' | 'address' | 'forwards'>

/** A VM, as workers are told of it. */
export function describeVm({ entry, dockerHost, address, forwards }: DescribedVm): ProvidedKernel {
  return {
    name: entry.name,
    kernel: kernelText(entry.kernel),
    cgroup: entry.cgroup,
    dockerHost,
    address,
    environment: workerEnvironment({ dockerHost, address, forwards }),
  }
}

/** Of a VM they are getters, which a spread does not see. */
function addressesOf({ dockerHost, address, forwards }: VmAddresses): VmAddresses {
  return { dockerHost, address, forwards }
}

/** The same, for a report of the run. */
export function factsOf({ hostname, kernelRelease, accelerator, steps, consolePath }: StartedKernelVm): VmFacts {
  const release = kernelRelease === undefined ? {} : { release: kernelRelease }
  return { hostname, ...release, accelerator, steps, consolePath }
}

export function failureOf(thrown: unknown): Failure {
  return { title: titleOf(thrown), message: visible(reasonOf(thrown)) }
}
