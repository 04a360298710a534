// A lease server, and what it leases.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RetryOn } from '../../options/index.ts'
import type { EntrancePlace, StartedKernelVm } from '../../vm/index.ts'
import { leaseVms } from '../../worker/index.ts'
import { Fates, type ReportSockets } from '../fates.ts'
import { LeaseServer, type LeaseServerOptions } from '../lease-server.ts'
import { Retries } from '../retries.ts'

const cleanUps: (() => unknown)[] = []

export async function cleanUp(): Promise<void> {
  for (const undo of cleanUps.splice(0).reverse()) await undo()
}

/** Leases VMs of one entry that only say that they live; `fork` makes its forks. Ends with `cleanUp`. */
export async function serve(
  isolation: LeaseServerOptions['isolation'],
  {
    fork,
    workers = 1,
    spares = 0,
    entries = 1,
    retryOn = 'same-vm',
    first,
    reportsOf,
    keep,
  }: {
    fork?: (options: { memoryWaitMs?: number }) => Promise<never>
    workers?: number
    spares?: 'auto' | number
    entries?: number
    retryOn?: RetryOn
    /** @default one that has started */
    first?: Promise<StartedKernelVm>
    /** Where workers hear what the kernel of the VM of this hostname reports. @default nowhere */
    reportsOf?: (hostname: string) => Promise<string | undefined>
    /** Takes VMs on which tests failed, in place of their end. @default they end */
    keep?: LeaseServerOptions['keep']
  } = {},
) {
  /** How many spares were asked for, each time; `undefined` at the end. */
  const reserved: (number | undefined)[] = []
  const place = await mkdtemp(join(tmpdir(), 'tk-lease-'))
  cleanUps.push(() => rm(place, { recursive: true }))
  const living = new Set<string>()
  const deaths = new Map<string, AbortController>()
  const kept: string[] = []
  const keeping = { begun: 0, hold: Promise.resolve(), goOn: () => {} }
  const vm = (hostname: string): StartedKernelVm => {
    living.add(hostname)
    const death = new AbortController()
    deaths.set(hostname, death)
    return {
      hostname,
      dockerHost: `unix:///${hostname}`,
      entry: { name: 'v2', kernel: 'debian:trixie', cgroup: 2, spares },
      address: '10.1.2.3',
      accelerator: 'tcg',
      steps: [],
      forwards: {},
      gone: death.signal,
      fork: fork ?? (async () => vm(`v2-${deaths.size}`)),
      reserveSpares: (count: number) => {
        reserved.push(count)
        return {
          resize: (resized: number) => reserved.push(resized),
          [Symbol.asyncDispose]: async () => void reserved.push(undefined),
        }
      },
      openEntrance: async ({ directory, address, former }: EntrancePlace) => {
        const path = former?.['own']?.address ?? hostname
        const entrance = { to: hostname, opened: path }
        entrances.push(entrance)
        return {
          dockerHost: `unix://${directory}`,
          address,
          forwards: { own: { name: 'own', kind: 'unix', path, address: path } },
          [Symbol.asyncDispose]: async () => void entrances.splice(entrances.indexOf(entrance), 1),
        }
      },
      stop: async () => void living.delete(hostname),
    } as unknown as StartedKernelVm
  }
  /** That are open: where each leads to, and for whom its forwards were opened first. */
  const entrances: { to: string; opened: string }[] = []
  const directory = async () => place
  const directories = new Set<string>()
  const makeDirectory = async () => {
    const path = `/entrance-${directories.size}`
    directories.add(path)
    return { path, [Symbol.asyncDispose]: async () => void directories.delete(path) }
  }
  const reports: ReportSockets = { socketFor: async ({ hostname }) => await reportsOf?.(hostname) }
  const fates = new Fates(directory, { reports })
  const logs: LeaseServerOptions['logs'] = {
    follow: async () => {},
    keep: async ({ hostname }) => {
      keeping.begun++
      await keeping.hold
      kept.push(hostname)
    },
  }
  const retriesFor = (first: Promise<StartedKernelVm>) =>
    new Retries({ first, makeDirectory, address: '127.1.2.3', fates, logs })
  const server = await LeaseServer.open({
    firsts: Array.from({ length: entries }, () => ({ started: first ?? Promise.resolve(vm('v2')) })),
    isolation,
    workers,
    directory,
    fates,
    logs,
    keep,
    ...(retryOn === 'fresh-vm' && { retriesFor }),
  })
  cleanUps.push(() => server[Symbol.asyncDispose]())
  const lease = async (worker: string) => {
    const [leased] = await leaseVms([{ kind: 'server', name: 'v2', socket: server.socket, index: 0, retryOn }], {
      worker,
    })
    if (leased === undefined) throw new Error('no VM was leased')
    cleanUps.push(() => leased.release())
    return Object.assign(leased, { hostname: leased.kernel.dockerHost.slice('unix:///'.length) })
  }
  return { server, lease, living, deaths, kept, keeping, reserved, entrances, directories }
}
