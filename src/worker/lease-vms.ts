import { connect, type Socket } from 'node:net'
import { TestkernelsError } from '../errors/index.ts'
import { followLines } from '../log/index.ts'
import {
  type Failure,
  FateWatch,
  type LeaseServerSource,
  type ProvidedKernel,
  type VmFacts,
  type VmSource,
  withoutFrames,
} from './fate.ts'
import { KernelWatch } from './kernel-watch.ts'

/** The process that has the VMs leases none. */
export class VmNotLeasedError extends TestkernelsError {
  readonly code = 'VM_NOT_LEASED'
}

/** A VM that tests of this worker may use. */
export interface LeasedVm {
  readonly name: string
  readonly kernel: ProvidedKernel
  /** What a report of the run tells of it. */
  readonly facts: VmFacts | undefined
  /** What its kernel reports; undefined where nobody cares. */
  readonly watch: KernelWatch | undefined
  /** Aborts when the VM is not there any more; its reason says why. */
  readonly gone: AbortSignal
  /** It is not needed any more. */
  release(): void
}

export interface LeaseOptions {
  /** Tells the test runner's workers apart. */
  readonly worker: string
  /** Makes the error that the test runner prints best. */
  readonly toError?: (failure: Failure) => Error
}

/** What a worker asks a lease server, in one line of JSON. The VM is its own as long as the connection is. */
export interface LeaseRequest {
  readonly index: number
  /** Tells the test runner's workers apart. */
  readonly worker: string
}

/** The answer, in one line of JSON. */
export interface LeaseReply {
  /** The file that says what becomes of the VM. */
  readonly fate: string
}

/** Waits until each VM's dockerd answers, or once did. @throws why one does not, after which none is leased; VmNotLeasedError */
export async function leaseVms(sources: readonly VmSource[], options: LeaseOptions): Promise<readonly LeasedVm[]> {
  const leased = await Promise.allSettled(sources.map((source) => lease(source, options)))
  const failure = leased.find((one) => one.status === 'rejected')
  const vms = leased.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
  if (failure === undefined) return vms
  for (const vm of vms) vm.release()
  throw failure.reason
}

async function lease(source: VmSource, { worker, toError = withoutFrames }: LeaseOptions): Promise<LeasedVm> {
  const { fate: path, release: releaseVm } =
    source.kind === 'server' ? await askServer(source, worker) : { fate: source.fate, release: () => {} }
  const fate = new FateWatch(path, toError)
  let watch: KernelWatch | undefined
  const release = () => {
    watch?.close()
    fate.close()
    releaseVm()
  }
  try {
    const kernel = await fate.ready()
    if (fate.reports !== undefined) watch = new KernelWatch(fate.reports, toError)
    return { name: source.name, kernel, facts: fate.facts, watch, gone: fate.gone, release }
  } catch (thrown) {
    release()
    throw thrown
  }
}

async function askServer(
  { socket: path, index, name }: LeaseServerSource,
  worker: string,
): Promise<{ readonly fate: string; readonly release: () => void }> {
  const socket = connect(path)
  const release = () => void socket.destroy()
  try {
    const request: LeaseRequest = { index, worker }
    socket.write(`${JSON.stringify(request)}\n`)
    const { fate } = JSON.parse(await firstLine(socket)) as LeaseReply
    // A worker lives for the sake of its tests, and not of this connection.
    socket.unref()
    return { fate, release }
  } catch (cause) {
    release()
    throw new VmNotLeasedError({
      what: 'the process that has the VMs leased none',
      entry: name,
      cause,
      remedy: 'see whether the test run was ended meanwhile',
    })
  }
}

function firstLine(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const onEnd = () => reject(new Error('it closed the connection'))
    // For good: a connection that breaks later is no news, the VM's fate is.
    followLines(socket, { onLine: resolve, onFailure: reject, onEnd }, { overlong: 'throw' })
  })
}
