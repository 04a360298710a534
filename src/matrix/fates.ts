import { join } from 'node:path'
import { reasonOf, titleOf, visible } from '../errors/index.ts'
import { replaceFile } from '../files/index.ts'
import { kernelText } from '../options/index.ts'
import { hostOf, type StartedKernelVm, workerEnvironment } from '../vm/index.ts'
import type { Failure, Fate, ProvidedKernel } from '../worker/index.ts'
import type { VmLease } from './vm-leases.ts'

/** The file that says what becomes of one VM. */
export interface FateFile {
  readonly path: string
  /** Resolves when the start of the VM has ended, well or not, and the file says how. */
  readonly written: Promise<void>
}

/**
 * Tells workers, which are other processes or threads, what becomes of VMs: a file for each, in a private directory. Plain files,
 * because they need no connection and no event loop of ours to be read.
 */
export class Fates {
  readonly #directory: () => Promise<string>
  #count = 0

  constructor(directory: () => Promise<string>) {
    this.#directory = directory
  }

  /** Writes down whether the VM starts, and how it dies if it does. */
  async follow({ started }: Pick<VmLease, 'started'>): Promise<FateFile> {
    // It may fail before the directory is there.
    started.catch(() => {})
    const path = join(await this.#directory(), `${this.#count++}.json`)
    return { path, written: record(started, path) }
  }
}

async function record(started: Promise<StartedKernelVm>, path: string): Promise<void> {
  try {
    const vm = await started
    const kernel = describeVm(vm)
    await write(path, { kernel })
    const tellDeath = () => write(path, { kernel, failure: failureOf(vm.gone.reason) })
    if (vm.gone.aborted) await tellDeath()
    else vm.gone.addEventListener('abort', tellDeath, { once: true })
  } catch (thrown) {
    await write(path, { failure: failureOf(thrown) })
  }
}

export type DescribedVm = Pick<StartedKernelVm, 'entry' | 'dockerHost' | 'published'>

/** A VM, as workers are told of it. */
export function describeVm({ entry, dockerHost, published }: DescribedVm): ProvidedKernel {
  return {
    name: entry.name,
    kernel: kernelText(entry.kernel),
    cgroup: entry.cgroup,
    dockerHost,
    address: hostOf(published),
    environment: workerEnvironment({ dockerHost, published }),
  }
}

function failureOf(thrown: unknown): Failure {
  return { title: titleOf(thrown), message: visible(reasonOf(thrown)) }
}

async function write(path: string, fate: Fate): Promise<void> {
  try {
    await replaceFile(path, JSON.stringify(fate))
  } catch (thrown) {
    // The directory goes with the run, and then nobody reads any more.
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
  }
}
