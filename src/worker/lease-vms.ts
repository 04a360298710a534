import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { get } from 'node:http'
import { connect, type Socket } from 'node:net'
import { json } from 'node:stream/consumers'
import { TestkernelsError } from '../errors/index.ts'
import { followLines } from '../log/index.ts'
import type { FileRecord, TestRecord } from '../report/index.ts'
import type { VmKernelReport } from '../vm/index.ts'
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

/** What a worker tells a report of the run of a test, beside how it ended. */
export type ToldOfTest = Pick<TestRecord, 'reports' | 'console' | 'hostnames'>

/** What it tells of the VMs of a test file. */
export type VmRecord = FileRecord['vms'][number]

/** A test that runs, with all VMs that it is on. */
export interface RunningTest {
  /** Why it failed all the same, and what a report tells of it. */
  end(): Promise<{ readonly errors: readonly Error[]; readonly told: (of: { failed: boolean }) => ToldOfTest }>
  /** It did not run after all. */
  leave(): void
}

/** Has the VMs know that a test runs on them. */
export async function beginTest(name: string, vms: readonly LeasedVm[]): Promise<RunningTest> {
  const marks = vms.map(({ facts }) => ({ facts, from: sizeOf(facts?.consolePath) }))
  const watched = await Promise.all(vms.flatMap(({ watch }) => watch?.begin(name) ?? []))
  return {
    end: async () => {
      const heard = await Promise.all(watched.map((one) => one.end()))
      return {
        errors: heard.flatMap(({ errors }) => errors),
        told: ({ failed }) => ({
          hostnames: marks.flatMap(({ facts }) => facts?.hostname ?? []),
          reports: heard.flatMap(({ reports }) => reports),
          console: failed ? marks.map(({ facts, from }) => tail(facts?.consolePath, from)).join('') : '',
        }),
      }
    },
    leave: () => {
      for (const one of watched) one.leave()
    },
  }
}

/** The tests of a file are over. */
export async function finishFile(
  vms: readonly LeasedVm[],
): Promise<{ readonly errors: readonly Error[]; readonly told: () => Promise<readonly VmRecord[]> }> {
  const heard = await Promise.all(vms.map(async (vm) => ({ vm, ...(await vm.watch?.finish()) })))
  return {
    errors: heard.flatMap(({ errors = [] }) => errors),
    told: async () =>
      await Promise.all(
        heard.flatMap(({ vm, reports = [] }) => (vm.facts === undefined ? [] : vmRecord(vm, vm.facts, reports))),
      ),
  }
}

/** What a report of the run tells of a VM that is there. Asks its dockerd. */
export async function vmRecord(
  { name, kernel }: { readonly name: string; readonly kernel: Pick<ProvidedKernel, 'dockerHost'> },
  { consolePath, steps, ...facts }: VmFacts,
  reports: readonly VmKernelReport[],
): Promise<VmRecord> {
  const dockerd = await askDockerd(kernel.dockerHost)
  return { entry: name, ...facts, ...dockerd, steps: [...steps], reports: [...reports], console: tail(consolePath, 0) }
}

/** Most of a console that is read, in bytes: the end of it. */
const MOST_CONSOLE = 16 * 1024

/** In bytes. */
function sizeOf(path: string | undefined): number {
  return (path !== undefined && statSync(path, { throwIfNoEntry: false })?.size) || 0
}

/** What came on a console since it had so many bytes. A line whose beginning is not there is left out. */
function tail(path: string | undefined, from: number): string {
  const size = sizeOf(path)
  if (path === undefined || size <= from) return ''
  const start = Math.max(from, size - MOST_CONSOLE)
  const file = openSync(path, 'r')
  try {
    const bytes = Buffer.alloc(size - start)
    const text = bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, start))
    return start > from ? text.slice(text.indexOf('\n') + 1) : text
  } finally {
    closeSync(file)
  }
}

/** A guest that is too busy to answer must not hold up the end of a test file. */
const INFO_DEADLINE_MS = 5_000

/** What the guest's dockerd says of itself; nothing where there is none, or none that answers. */
export async function askDockerd(
  dockerHost: string,
  deadlineMs = INFO_DEADLINE_MS,
): Promise<Pick<VmRecord, 'dockerd' | 'cgroup'>> {
  try {
    const socketPath = dockerHost.replace('unix://', '')
    const signal = AbortSignal.timeout(deadlineMs)
    const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
      get({ socketPath, path: '/info', signal, agent: false }, resolve).on('error', reject)
    })
    const { ServerVersion, CgroupVersion, CgroupDriver } = (await json(response)) as Record<string, string | undefined>
    if (ServerVersion === undefined) return {}
    const driver = CgroupDriver ?? 'none'
    return {
      dockerd: ServerVersion,
      ...(CgroupVersion !== undefined && { cgroup: { version: CgroupVersion, driver } }),
    }
  } catch {
    return {}
  }
}
