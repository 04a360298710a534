import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { json } from 'node:stream/consumers'
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
      request({ socketPath, path: '/info', signal, agent: false }, resolve).on('error', reject).end()
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
