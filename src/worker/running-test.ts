import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { get } from 'node:http'
import { json } from 'node:stream/consumers'
import type { RetryOn } from '../options/index.ts'
import type { FileRecord, TestRecord } from '../report/index.ts'
import type { VmKernelReport } from '../vm/index.ts'
import type { ProvidedKernel, VmFacts } from './fate.ts'
import type { LeasedVm } from './lease-vms.ts'

/** What a worker tells a report of the run of a test, beside how it ended. */
export type ToldOfTest = Pick<TestRecord, 'reports' | 'console' | 'hostnames'>

/** What it tells of the VMs of a test file. */
export type VmRecord = FileRecord['vms'][number]

/** A test that runs, with all VMs that it is on. */
export interface RunningTest {
  /** The end of a try that another one may follow on fresh VMs. @returns why it failed all the same; `end` has that not again */
  endTry(): Promise<readonly Error[]>
  /**
   * It failed, and is about to be tried again: on fresh VMs where they are asked for, else on the same ones.
   * @returns why the try fails before it begins; undefined where it begins
   * @throws why there are no fresh VMs
   */
  retry(on: RetryOn): Promise<FailedBefore | undefined>
  /** Why it failed all the same, and what a report tells of it. The tests after it are on the VMs that it was on at first. */
  end(): Promise<EndedTest>
  /** It did not run after all. */
  leave(): void
}

interface EndedTest {
  readonly errors: readonly Error[]
  readonly told: (of: { readonly failed: boolean }) => ToldOfTest
}

export interface FailedBefore {
  /**
   * Of what kernels said while no test ran. None where one had reported a fault in the try before, and the VM is the same: it says each
   * thing once, so that another try would only hide it.
   */
  readonly errors: readonly Error[]
}

/** VMs that tests of a file were on, and are not any more; what a report tells of them, by hostname. */
const formerVms = new WeakMap<LeasedVm, Map<string, VmRecord>>()

/** Of what `formerVms` has, what says that they are gone: it is another one where a fresh VM has become the file's own. */
const left = new WeakSet<AbortSignal>()

/** Has the VMs know that a test runs on them. */
export async function beginTest(name: string, vms: readonly LeasedVm[]): Promise<RunningTest> {
  const former: { readonly errors: readonly Error[]; readonly told: ToldOfTest }[] = []
  let current = await beginTry(name, vms)
  let ended: EndedTest | undefined
  const endCurrent = async () => {
    ended ??= await current.end()
    return ended
  }
  return {
    endTry: async () => {
      const { errors, told } = await endCurrent()
      ended = { errors: [], told }
      return errors
    },
    retry: async (on) => {
      const { errors, told } = await endCurrent()
      const isRenewed = on === 'fresh-vm' && vms.some(({ retryOn }) => retryOn === 'fresh-vm')
      if (!isRenewed && errors.length > 0) return { errors: [] }
      // The console of a fresh VM goes with it.
      former.push({ errors, told: told({ failed: true }) })
      ended = { errors: [], told: () => NOTHING_TOLD }
      const outside = isRenewed ? await renewVms(vms) : []
      current = await beginTry(name, vms)
      ended = undefined
      return outside.length > 0 ? { errors: outside } : undefined
    },
    end: async () => {
      const { errors, told } = await endCurrent()
      const kept = vms.some((vm) => vm.isFresh) ? told({ failed: true }) : undefined
      const outside = await goBack(vms)
      return {
        errors: [...former.flatMap((one) => one.errors), ...errors, ...outside],
        told: ({ failed }) => {
          const last = kept === undefined ? told({ failed }) : failed ? kept : { ...kept, console: '' }
          const all = [...former.map((one) => one.told), last]
          return {
            hostnames: [...new Set(all.flatMap(({ hostnames }) => hostnames))],
            reports: all.flatMap(({ reports }) => reports),
            console: all.map(({ console }) => console).join(''),
          }
        },
      }
    },
    leave: () => {
      if (ended === undefined) current.leave()
    },
  }
}

const NOTHING_TOLD: ToldOfTest = { hostnames: [], reports: [], console: '' }

/**
 * From now on tests are on fresh VMs, where they are asked for.
 * @returns what the kernels of those before said outside of tests
 * @throws why there is none
 */
export async function renewVms(vms: readonly LeasedVm[]): Promise<readonly Error[]> {
  const errors = await leaveVms(vms)
  await all(vms.map((vm) => vm.renew()))
  return errors
}

/**
 * From now on tests are on the VMs again that they were on at first, if they are not.
 * @returns what the kernels of the fresh ones said outside of tests
 * @throws why they cannot be
 */
export async function goBack(vms: readonly LeasedVm[]): Promise<readonly Error[]> {
  const errors = await leaveVms(vms)
  await all(vms.map((vm) => vm.goBack()))
  return errors
}

/** A VM is asked for one thing at a time: nothing is under way any more when this is over. @throws the first one's reason */
async function all(works: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(works)).find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}

/** Keeps what a report tells of VMs that tests are not on any more: fresh ones, and those that died. */
async function leaveVms(vms: readonly LeasedVm[]): Promise<readonly Error[]> {
  const errors: Error[] = []
  for (const vm of vms) {
    if (vm.facts === undefined || vm.retryOn === 'same-vm' || !(vm.isFresh || vm.gone.aborted)) continue
    if (left.has(vm.gone)) continue
    left.add(vm.gone)
    const heard = await vm.watch?.finish()
    errors.push(...(heard?.errors ?? []))
    const record = await vmRecord(vm, vm.facts, heard?.reports ?? [])
    formerVms.set(vm, new Map(formerVms.get(vm)).set(record.hostname, record))
  }
  return errors
}

/** One try of a test. */
async function beginTry(name: string, vms: readonly LeasedVm[]) {
  const marks = vms.map(({ facts }) => ({ facts, from: sizeOf(facts?.consolePath) }))
  const watched = await Promise.all(vms.flatMap(({ watch }) => watch?.begin(name) ?? []))
  return {
    end: async (): Promise<EndedTest> => {
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
    told: async () => {
      const told = heard.map(async ({ vm, reports = [] }) => {
        const own = vm.facts === undefined ? [] : [await vmRecord(vm, vm.facts, reports)]
        const former = [...(formerVms.get(vm)?.values() ?? [])]
        return { former: former.filter(({ hostname }) => hostname !== vm.facts?.hostname), own }
      })
      const records = await Promise.all(told)
      return [...records.flatMap(({ former }) => former), ...records.flatMap(({ own }) => own)]
    },
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
