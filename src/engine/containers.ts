import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { readLines } from '../log/index.ts'
import type { EngineClient } from './connect.ts'
import { type ContainerOptions, createBody, nameOf } from './container-options.ts'
import { LONGEST_MESSAGE, requestJson, requestStream, requestUpgrade, statusOf } from './request.ts'

// What a start asks of the engine about its container, without dockerode: loading that took 0.12 s of each start, because it brings
// gRPC with it.

/** From SIGKILL to the container's removal; a busy disk makes the engine slow. */
export const REMOVAL_TIMEOUT_MS = 30_000

/** Gives its id. */
export async function createContainer({ address }: EngineClient, options: ContainerOptions): Promise<string> {
  const name = nameOf(options)
  const query = name === undefined ? {} : { name }
  const body = createBody(options)
  const { Id } = await requestJson<{ Id: string }>(address, { method: 'POST', path: '/containers/create', query, body })
  return Id
}

/** Its standard input, and what it writes on standard output and standard error, multiplexed: see `createDemultiplexer`. */
export async function attachToContainer({ address }: EngineClient, id: string): Promise<Duplex> {
  const query = { stream: '1', stdin: '1', stdout: '1', stderr: '1' }
  return await requestUpgrade(address, { method: 'POST', path: `/containers/${id}/attach`, query })
}

export async function startContainer({ address }: EngineClient, id: string): Promise<void> {
  await requestJson(address, { method: 'POST', path: `/containers/${id}/start` })
}

/** `undefined` where the engine has none of this id or name. */
export async function inspectContainer({ address }: EngineClient, id: string): Promise<InspectedContainer | undefined> {
  try {
    const path = `/containers/${encodeURIComponent(id)}/json`
    const { Id, NetworkSettings } = await requestJson<ContainerDocument>(address, { path })
    const networks = NetworkSettings.Networks ?? {}
    const addresses = Object.values(networks).map(({ IPAddress }) => IPAddress)
    const published = Object.entries(NetworkSettings.Ports ?? {}).flatMap(([inside, bindings]) =>
      (bindings ?? []).map(({ HostIp, HostPort }) => ({
        protocol: inside.split('/')[1] ?? 'tcp',
        hostIp: HostIp,
        port: Number(HostPort),
      })),
    )
    const endpoints = Object.entries(networks).map(([name, { IPAddress, IPPrefixLen, MacAddress }]) => [
      name,
      { address: IPAddress, prefixLength: IPPrefixLen, macAddress: MacAddress },
    ])
    const ipAddress = networks['bridge']?.IPAddress || addresses.find((found) => found !== '')
    const ipv6Address = networks['bridge']?.GlobalIPv6Address || undefined
    return { id: Id, ipAddress, ipv6Address, endpoints: Object.fromEntries(endpoints), published }
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

export interface InspectedContainer {
  readonly id: string
  /** On the default bridge, else of its first network; `undefined` on the networks `none` and `host`. */
  readonly ipAddress: string | undefined
  /** On the default bridge, where that has IPv6. */
  readonly ipv6Address: string | undefined
  /** By the names of its networks. */
  readonly endpoints: Readonly<Record<string, NetworkEndpoint>>
  /** Ports of the engine's machine that lead to it while it runs. */
  readonly published: readonly PublishedPort[]
}

/** Where a container is on a network. */
export interface NetworkEndpoint {
  readonly address: string
  /** Bits of the address that all on the network have in common. */
  readonly prefixLength: number
  readonly macAddress: string
}

export interface PublishedPort {
  /** Such as `tcp`. */
  readonly protocol: string
  /** Empty, `0.0.0.0` and `::` are all of the machine's addresses. */
  readonly hostIp: string
  readonly port: number
}

interface EndpointDocument {
  readonly IPAddress: string
  readonly IPPrefixLen: number
  readonly GlobalIPv6Address?: string
  readonly MacAddress: string
}

interface ContainerDocument {
  readonly Id: string
  readonly NetworkSettings: {
    readonly Networks?: Readonly<Record<string, EndpointDocument>> | null
    readonly Ports?: Readonly<
      Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>
    > | null
  }
}

/** Ids of those that run. */
export async function runningContainers({ address }: EngineClient): Promise<readonly string[]> {
  const containers = await requestJson<{ Id: string }[]>(address, { path: '/containers/json' })
  return containers.map(({ Id }) => Id)
}

export async function killContainer({ address }: EngineClient, id: string): Promise<void> {
  await requestJson(address, { method: 'POST', path: `/containers/${id}/kill` }).catch((error) => {
    // 409: it does not run any more.
    if (statusOf(error) !== 409) ignoreMissing(error)
  })
}

/** A service of the engine's swarm. */
export interface InspectedService {
  readonly id: string
  /** Ports at which each machine of the swarm takes connections for it. Those of its tasks' own machines are the containers'. */
  readonly published: readonly PublishedPort[]
}

/** `undefined` where the swarm has none of this id or name, and where there is no swarm. */
export async function inspectService({ address }: EngineClient, id: string): Promise<InspectedService | undefined> {
  try {
    return serviceOf(await requestJson<ServiceDocument>(address, { path: `/services/${encodeURIComponent(id)}` }))
  } catch (error) {
    if (statusOf(error) === NO_SWARM) return undefined
    ignoreMissing(error)
    return undefined
  }
}

/** Ids of those of the swarm; none where there is no swarm. */
export async function swarmServices({ address }: EngineClient): Promise<readonly string[]> {
  try {
    return (await requestJson<ServiceDocument[]>(address, { path: '/services' })).map(({ ID }) => ID)
  } catch (error) {
    if (statusOf(error) === NO_SWARM) return []
    throw error
  }
}

export async function removeService({ address }: EngineClient, id: string): Promise<void> {
  await requestJson(address, { method: 'DELETE', path: `/services/${id}` }).catch(ignoreMissing)
}

/** The engine is no manager of a swarm. */
const NO_SWARM = 503

interface ServicePort {
  readonly Protocol: string
  readonly TargetPort: number
  /** Missing, or 0, where the swarm is to choose one, and has not. */
  readonly PublishedPort?: number
  readonly PublishMode?: string
}

interface ServiceDocument {
  readonly ID: string
  readonly Spec: { readonly EndpointSpec?: { readonly Ports?: readonly ServicePort[] } }
  /** What the swarm has made of the specification, which takes it a moment. */
  readonly Endpoint?: { readonly Ports?: readonly ServicePort[] }
}

function serviceOf({ ID, Spec, Endpoint }: ServiceDocument): InspectedService {
  const ports = (Spec.EndpointSpec?.Ports ?? []).flatMap((asked) => {
    const isSame = (port: ServicePort) => port.TargetPort === asked.TargetPort && port.Protocol === asked.Protocol
    return asked.PublishedPort ? [asked] : (Endpoint?.Ports ?? []).filter(isSame)
  })
  const published = ports
    .filter(({ PublishMode, PublishedPort }) => PublishMode !== 'host' && PublishedPort)
    .map(({ Protocol, PublishedPort = 0 }) => ({ protocol: Protocol, hostIp: '', port: PublishedPort }))
  return { id: ID, published }
}

export interface ContainerEvents {
  /** Of what they are. @default containers alone */
  readonly types?: readonly ('container' | 'service')[]
  /** @default all */
  readonly container?: string
  /** Such as `die`. */
  readonly events: readonly string[]
  readonly signal?: AbortSignal
}

/**
 * The engine's events, a JSON document a line: of one container also those that it remembers, so that none is missed; of all from now
 * on.
 */
export async function containerEvents(
  { address }: EngineClient,
  { types = ['container'], container, events, signal }: ContainerEvents,
): Promise<IncomingMessage> {
  const filters = JSON.stringify({ type: types, event: events, ...(container && { container: [container] }) })
  // Any time in the past.
  const query = { filters, ...(container && { since: '1' }) }
  return await requestStream(address, { path: '/events', query, signal })
}

export interface ContainerEvent {
  readonly Type: 'container' | 'service'
  readonly Action: string
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> }
}

export async function* readContainerEvents(answer: IncomingMessage): AsyncGenerator<ContainerEvent, void> {
  for await (const line of readLines(answer, { longest: LONGEST_MESSAGE, overlong: 'throw' })) {
    yield JSON.parse(line) as ContainerEvent
  }
}

/** Resolves when the engine has the container no more, whether we removed it or its own auto-removal was faster. */
export async function removeContainer({ address }: EngineClient, id: string): Promise<void> {
  try {
    await requestJson(address, { method: 'DELETE', path: `/containers/${id}`, query: { force: '1', v: '1' } })
  } catch (error) {
    if (statusOf(error) === 404) return
    // 409: the engine is at it.
    if (statusOf(error) !== 409) throw error
    const signal = AbortSignal.timeout(REMOVAL_TIMEOUT_MS)
    const wait = { method: 'POST', path: `/containers/${id}/wait`, query: { condition: 'removed' }, signal } as const
    await requestJson(address, wait).catch(ignoreMissing)
  }
}

function ignoreMissing(error: unknown): void {
  if (statusOf(error) !== 404) throw error
}
