import { createHash } from 'node:crypto'
import pRetry, { type RetryContext } from 'p-retry'
import type { EngineClient } from './connect.ts'
import { NetworkNameTakenError, NetworkNotMadeError } from './errors.ts'
import { LABELS } from './labels.ts'
import { requestJson, statusOf } from './request.ts'

/** What the engine gives a network that says nothing of it. */
const DEFAULT_MTU = 1500

/** What a network's driver makes its links with. */
const MTU_OPTION = 'com.docker.network.driver.mtu'

/** The network of containers that name none. */
export interface DefaultBridge {
  /** Its longest packet, in bytes: dockerd's `mtu`, or 1500. */
  readonly mtu: number
  /** Whether containers have addresses of IPv6 there: dockerd's `ipv6`. */
  readonly ipv6: boolean
}

export async function inspectDefaultBridge({ address }: EngineClient): Promise<DefaultBridge> {
  try {
    const { Options, EnableIPv6 } = await requestJson<NetworkDocument>(address, { path: networkPath('bridge') })
    return { mtu: Number(Options?.[MTU_OPTION]) || DEFAULT_MTU, ipv6: EnableIPv6 === true }
  } catch (error) {
    if (statusOf(error) === 404) return { mtu: DEFAULT_MTU, ipv6: false }
    throw error
  }
}

interface NetworkDocument {
  readonly Id: string
  readonly EnableIPv6?: boolean
  readonly Labels?: Readonly<Record<string, string>> | null
  readonly Options?: Readonly<Record<string, string>> | null
}

/** Containers that have joined a network, beside the default bridge, reach each other there by name. */
export interface JoinedNetwork {
  /** Made if there is none of this name. */
  readonly network: string
  /** By which others on the network know the container; one of them has it at a time. */
  readonly name: string
}

/** Another client who makes it at this moment has it ready in less. */
const MAKING_RETRIES = {
  retries: 5,
  minTimeout: 50,
  maxTimeout: 500,
  shouldRetry: ({ error }: RetryContext) => error instanceof NetworkNotMadeError,
}

interface Joining {
  readonly joins: JoinedNetwork
  /** Of a network that is made. */
  readonly labels: Readonly<Record<string, string>>
  /** Kernel entry, named in errors. */
  readonly entry?: string | undefined
}

/**
 * Connects a container that is not started yet to a network.
 * @throws NetworkNotMadeError
 */
export async function joinNetwork(
  { address }: EngineClient,
  container: string,
  { joins, labels, entry }: Joining,
): Promise<void> {
  const { network, name } = joins
  const body = { Container: container, EndpointConfig: { Aliases: [name] } }
  await pRetry(async () => {
    const refusal = await makeNetwork({ address }, network, labels)
    try {
      await requestJson(address, { method: 'POST', path: `${networkPath(network)}/connect`, body })
    } catch (error) {
      throw statusOf(error) === 404 && refusal !== undefined ? notMade(network, refusal, entry) : error
    }
  }, MAKING_RETRIES)
}

/**
 * A network of VMs: one link, on which the engine's machine has no address. Of two who make it at once one is refused, because both name its
 * bridge: the engine itself would make two of one name. @returns why none was made, where that may be because there is one
 */
async function makeNetwork(
  { address }: Pick<EngineClient, 'address'>,
  network: string,
  labels: Readonly<Record<string, string>>,
): Promise<unknown> {
  const Options = {
    [MTU_OPTION]: String(DEFAULT_MTU),
    'com.docker.network.bridge.name': `tk-${createHash('sha256').update(network).digest('hex').slice(0, 12)}`,
    'com.docker.network.bridge.inhibit_ipv4': 'true',
    'com.docker.network.bridge.enable_ip_masquerade': 'false',
  }
  const body = { Name: network, CheckDuplicate: true, Driver: 'bridge', Labels: { ...labels }, Options }
  try {
    await requestJson(address, { method: 'POST', path: '/networks/create', body })
    return undefined
  } catch (error) {
    if (statusOf(error) === undefined) throw error
    return error
  }
}

function notMade(network: string, cause: unknown, entry: string | undefined): NetworkNotMadeError {
  return new NetworkNotMadeError({
    what: `the engine made no network ${network} for VMs to meet on`,
    entry,
    remedy: 'change what the cause names: one that has no addresses left gets some back by `docker network prune`',
    cause,
  })
}

/** The error for a container whose name another one on its network has; undefined where that is not what the engine says. */
export function nameTaken(joins: JoinedNetwork, cause: unknown, entry?: string): NetworkNameTakenError | undefined {
  if (statusOf(cause) !== 409 || !/name .* is already in use/.test(String(cause))) return undefined
  return new NetworkNameTakenError({
    what: `another VM is '${joins.name}' on the network ${joins.network}`,
    entry,
    remedy:
      'end that one, or give this entry another name or another network: all who use the engine share its networks. ' +
      'One that was killed before it began has its name for a minute',
    cause,
  })
}

/** The name of a container that has joined: the engine sees to it that no other has it. */
export function nameOnNetwork({ network, name }: JoinedNetwork): string {
  return `${network}.${name}`
}

/** Removes a network that no container is on, if a run made it: one that was there before stays. */
export async function removeNetwork(
  { address }: EngineClient,
  network: string,
): Promise<'removed' | 'absent' | 'in use' | 'not ours'> {
  try {
    const { Id, Labels } = await requestJson<NetworkDocument>(address, { path: networkPath(network) })
    if (Labels?.[LABELS.run] === undefined) return 'not ours'
    await requestJson(address, { method: 'DELETE', path: networkPath(Id) })
    return 'removed'
  } catch (error) {
    if (statusOf(error) === 404) return 'absent'
    // As engines have it for one with containers.
    if (statusOf(error) === 403 || statusOf(error) === 409) return 'in use'
    throw error
  }
}

export function networkPath(network: string): string {
  return `/networks/${encodeURIComponent(network)}`
}
