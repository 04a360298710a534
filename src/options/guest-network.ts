import { isIP } from 'node:net'
import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'

/** What a guest reaches beyond its container. */
export interface GuestNetworkOptions {
  /**
   * What the guest may reach beyond its container: `all` that this reaches, `none`, or a list of host names, addresses and CIDRs, each with a
   * port or a range of ports, or without: `['registry.example.org:443', '10.0.0.0/8', '[fd00::1]:443', ':53']`. Who connects to it, and what it
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

const DESTINATION = /^(?:\[(?<ipv6>[^\]]*)\]|(?<where>[^:[\]]*))(?::(?<ports>\d+(?:-\d+)?))?$/
const HOST = /^(?!-)[a-z0-9-]{1,63}(?<!-)(?:\.(?!-)[a-z0-9-]{1,63}(?<!-))*\.?$/i
/** What a guest reaches the engine's machine by, without asking a name server. */
const MACHINE = 'host.docker.internal'
const HIGHEST_PORT = 65_535
const BITS_OF_VERSION: Readonly<Record<number, number>> = { 4: 32, 6: 128 }

/**
 * The words that images/runner/entrypoint makes rules of: `WHERE:PORTS`, where either may be empty, and `names`, where the guest may ask its
 * name servers. Undefined where there is nothing to hold.
 * @param egress each a host name, an address or a CIDR, with a port or a range of ports behind it: `registry.example.org:443`,
 * `10.0.0.0/8`, `fd00::/8`, `[fd00::1]:443`, `:53`
 * @throws InvalidOptionError
 */
export function egressWords(egress: EgressOption, entry?: string): readonly string[] | undefined {
  if (egress === 'all') return undefined
  if (egress === 'none') return []
  const destinations = egress.map((text) => parseDestination(text, entry))
  const words = destinations.map(({ where, ports }) => `${where}:${ports}`)
  return destinations.some(({ isName }) => isName) ? ['names', ...words] : words
}

/** Those of a list that are of IPv6, as they are written. */
export function ipv6Destinations(egress: EgressOption): readonly string[] {
  return typeof egress === 'string' ? [] : egress.filter((text) => text.split(':').length > 2)
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
    "write a host name, an address or a CIDR, with a port or without: 'example.org:443', '10.0.0.0/8', '[fd00::1]:443', ':53'"
  // An address of IPv6 without a port needs no brackets.
  const parts = isCidr(text) ? { ipv6: undefined, where: text, ports: '' } : DESTINATION.exec(text)?.groups
  const { ipv6, ports = '', where = ipv6 ?? '' } = parts ?? refuse('has no port that could be', asWritten)
  const [from = 0, to = from] = ports.split('-', 2).map(Number)
  if (ports !== '' && (from < 1 || from > to || to > HIGHEST_PORT)) refuse('has no port that could be', asWritten)
  if (where === '' && ports === '') refuse('is empty', asWritten)
  if (text === 'all' || text === 'none') refuse('is no part of a list', `write egress: '${text}'`)
  const isAddress = ipv6 !== undefined || where.includes(':') || /^[\d./]*$/.test(where)
  if (ipv6 !== undefined && !ipv6.includes(':')) refuse('has brackets around what is not of IPv6', asWritten)
  if (where !== '' && !(isAddress ? isCidr(where) : HOST.test(where)))
    refuse('is neither a host name nor an address or a CIDR', asWritten)
  const name = where.toLowerCase()
  return { where: name, ports, isName: !isAddress && name !== MACHINE }
}

function isCidr(text: string): boolean {
  const [address = '', bits, ...more] = text.split('/')
  const mostBits = BITS_OF_VERSION[isIP(address)]
  if (mostBits === undefined || address.includes('%') || more.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= mostBits)
}
