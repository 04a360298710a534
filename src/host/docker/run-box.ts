import {
  type ContainerMount,
  type Engine,
  imageLabels,
  inspectContainer,
  removeNetwork,
  runAttached,
  runLabels,
} from '../../engine/index.ts'
import { reasonOf } from '../../errors/index.ts'
import { orAborted } from '../../lifetime/index.ts'
import type { Settings } from '../../options/index.ts'
import { type Box, type BoxSpec, type Mount, thisUser } from '../box.ts'
import type { RunOptions } from '../host.ts'
import { type Dial, type DockerMachine, execWithin } from './machine.ts'

export interface BoxHost {
  readonly engine: Engine
  /** The name of the run that its boxes belong to. */
  readonly run: string
  readonly machine: DockerMachine
  readonly ports: Settings['ports']
}

/** For a shell and what it pipes. */
const MAX_PROCESSES = 64

/** A box is a container whose life hangs on this process. */
export async function runBox(host: BoxHost, spec: BoxSpec, { signal, log }: RunOptions): Promise<Box> {
  const { engine, run, machine, ports } = host
  const { mounts = [], network = 'none', maxProcesses = MAX_PROCESSES, ...rest } = spec
  const labels = runLabels(run, spec.entry)
  // The engine keeps one that others are on, we keep one that no run made, and whoever starts or prunes next removes one that stays.
  const leave = async () => {
    if (spec.joins === undefined) return
    const { network } = spec.joins
    await removeNetwork(engine, network).catch((thrown) => log.debug(`${network} stays: ${reasonOf(thrown)}`))
  }
  const container = await runAttached(
    engine,
    {
      ...rest,
      labels,
      pidsLimit: maxProcesses,
      network: network === 'none' ? 'none' : 'bridge',
      mounts: mounts.map((mount) => containerMount(mount, { machine, labels })),
    },
    { signal, log },
  ).catch(async (thrown) => {
    await leave()
    throw thrown
  })
  const sockets = mounts.find((mount) => mount.kind === 'sockets')
  const stop = async () => {
    const exit = await container.stop()
    await leave()
    if (sockets !== undefined) await machine.removeSockets(sockets)
    return exit
  }
  let stopping: ReturnType<typeof stop> | undefined
  const stopOnce = () => {
    stopping ??= stop()
    return stopping
  }
  const isReachable = network === 'reachable' && ports === 'auto' && machine.reachesAddresses
  // One that has ended has no address any more.
  const isSomewhere = isReachable || spec.joins !== undefined
  const places = isSomewhere ? inspectContainer(engine, container.id) : Promise.resolve(undefined)
  const inspected = await orAborted(places, signal).catch(stopAndThrow)
  const endpoint = spec.joins && inspected?.endpoints[spec.joins.network]
  return {
    stdout: container.stdout,
    stderr: container.stderr,
    exited: container.exited,
    address: isReachable ? inspected?.ipAddress : undefined,
    ipv6Address: isReachable ? inspected?.ipv6Address : undefined,
    dials: machine.dials,
    dial: sockets === undefined ? withoutSockets(spec) : machine.dialler(container, sockets),
    exec: (argv, until) =>
      execWithin(engine, container.id, { argv, owner: sockets?.owner ?? thisUser(), signal: until }),
    endpoint: endpoint?.address ? endpoint : undefined,
    send: container.send,
    stop: stopOnce,
    [Symbol.asyncDispose]: async () => void (await stopOnce()),
  }

  async function stopAndThrow(thrown: unknown): Promise<never> {
    await stopOnce()
    throw thrown
  }
}

interface Mounting {
  readonly machine: DockerMachine
  readonly labels: Readonly<Record<string, string>>
}

function containerMount(mount: Mount, { machine, labels }: Mounting): ContainerMount {
  if (mount.kind === 'sockets') return machine.mountSockets(mount, labels)
  if (mount.kind === 'scratch') return { kind: 'volume', target: mount.target, access: 'read-write', labels }
  const { volume, target, keptFor, access } = mount
  return { kind: 'volume', volume, target, access, labels: keptFor === 'run' ? labels : imageLabels('templates') }
}

function withoutSockets({ image }: BoxSpec): Dial {
  return async () => {
    throw new TypeError(`a box of ${image} without a mount for sockets has none to dial`)
  }
}
