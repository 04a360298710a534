import { isIPv4 } from 'node:net'
import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'

/** What a guest reaches beyond its container. */
export interface GuestNetworkOptions {
  /**
   * What the guest may reach beyond its container: `all` that this reaches, `none`, or a list of host names, IPv4 addresses and CIDRs, each
   * with a port or a range of ports, or without: `['registry.example.org:443', '10.0.0.0/8', ':53']`. Who connects to it, and what it
   * publishes, is not held. @default 'all'. @throws EgressUnresolvedError for a host name that the engine's machine does not know
   */
  readonly egress?: EgressOption
  /**
   * A network of the engine's on which VMs that name it reach each other by name: entries by theirs, forks by their hostnames. Each has a
   * second interface there, eth1, with an address of its own. `none` is none.
   * @default 'none'. @throws NetworkNotMadeError, NetworkNameTakenError
   */
  readonly network?: string
}

/** What a guest may reach: all that its container does, nothing, or what a list has, as `egressWords` reads it. */
export type EgressOption = 'all' | 'none' | readonly string[]

/** Not a union, whose complaint names no words. */
const egressOption = v.lazy((given) => (Array.isArray(given) ? v.array(v.string()) : v.picklist(['all', 'none'])))

const NETWORK_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/

/** Of the schema of an entry. */
export const guestNetworkFields = {
  egress: v.optional(egressOption, 'all'),
  network: v.optional(v.string(), 'none'),
}

/** @throws InvalidOptionError */
export function checkGuestNetwork({ egress, network }: Required<GuestNetworkOptions>, entry?: string): void {
  egressWords(egress, entry)
  if (NETWORK_NAME.test(network)) return
  throw new InvalidOptionError({
    what: `${JSON.stringify(network)} in the option 'network' cannot be the name of a network`,
    entry,
    remedy: 'use 1 to 40 letters, digits, dots, dashes and underscores, a letter or digit first',
  })
}

const DESTINATION = /^(?<where>[^:]*)(?::(?<ports>\d+(?:-\d+)?))?$/
const HOST = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?$/i
/** What a guest reaches the engine's machine by, without asking a name server. */
const MACHINE = 'host.docker.internal'
const HIGHEST_PORT = 65_535

/**
 * The words that images/runner/entrypoint makes rules of: `WHERE:PORTS`, where either may be empty, and `names`, where the guest may ask its
 * name servers. Undefined where there is nothing to hold.
 * @param egress each a host name, an IPv4 address or a CIDR of them, with a port or a range of ports behind it: `registry.example.org:443`,
 * `10.0.0.0/8`, `:53`
 * @throws InvalidOptionError
 */
export function egressWords(egress: EgressOption, entry?: string): readonly string[] | undefined {
  if (egress === 'all') return undefined
  if (egress === 'none') return []
  const destinations = egress.map((text) => parseDestination(text, entry))
  const words = destinations.map(({ where, ports }) => `${where}:${ports}`)
  return destinations.some(({ isName }) => isName) ? ['names', ...words] : words
}

interface EgressDestination {
  readonly where: string
  readonly ports: string
  readonly isName: boolean
}

function parseDestination(text: string, entry: string | undefined): EgressDestination {
  const refuse = (why: string, remedy: string): never => {
    throw new InvalidOptionError({ what: `${JSON.stringify(text)} in the option 'egress' ${why}`, entry, remedy })
  }
  const asWritten =
    "write a host name, an IPv4 address or a CIDR, with a port or without: 'example.org:443', '10.0.0.0/8', ':53'"
  if (text.includes('[') || text.split(':').length > 2)
    refuse('is not of IPv4, which is all that a guest has', 'leave it out, or name its IPv4 address')
  const { where = '', ports = '' } = DESTINATION.exec(text)?.groups ?? refuse('has no port that could be', asWritten)
  const [from = 0, to = from] = ports.split('-', 2).map(Number)
  if (ports !== '' && (from < 1 || from > to || to > HIGHEST_PORT)) refuse('has no port that could be', asWritten)
  if (where === '' && ports === '') refuse('is empty', asWritten)
  if (text === 'all' || text === 'none') refuse('is no part of a list', `write egress: '${text}'`)
  const isAddress = /^[\d./]*$/.test(where)
  if (where !== '' && !(isAddress ? isCidr(where) : HOST.test(where)))
    refuse('is neither a host name nor an IPv4 address or a CIDR of them', asWritten)
  const name = where.toLowerCase()
  return { where: name, ports, isName: !isAddress && name !== MACHINE }
}

function isCidr(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  return isIPv4(address) && more.length === 0 && (bits === undefined || (/^\d{1,2}$/.test(bits) && Number(bits) <= 32))
}
