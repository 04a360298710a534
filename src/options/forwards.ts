import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'

/** A socket or a port of the guest that this machine is to have. */
export interface ForwardOptions {
  /** The path of a unix socket of the guest, or a TCP port of it. */
  readonly guest: string | number
  /**
   * A TCP port of this machine, at 127.0.0.1, which one VM at a time can have. @default for a socket, a socket in the VM's private run
   * directory; for a port, one that is free
   */
  readonly host?: number
  /** What it is called. @default the name of the socket's file without `.sock`, or the port */
  readonly name?: string
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/

const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))
const socketPath = v.pipe(v.string(), v.startsWith('/'), v.maxBytes(107))

export const forwardsOption = v.array(
  v.strictObject({
    // Not a union, whose complaint names none of its alternatives.
    guest: v.lazy((given) => (typeof given === 'string' ? socketPath : port)),
    host: v.optional(port),
    name: v.optional(v.pipe(v.string(), v.regex(NAME))),
  }),
)

/** Most ports of this machine that a guest may reach, with those that are opened while it runs. */
export const MOST_HOST_PORTS = 32

/** Ports of this machine that a guest may reach; naming one twice says nothing more. */
export const hostPortsOption = v.pipe(
  v.array(port),
  v.transform((ports) => [...new Set(ports)]),
  v.check((ports) => ports.length <= MOST_HOST_PORTS, `at most ${MOST_HOST_PORTS} ports`),
)

/** @throws InvalidOptionError for what is no TCP port */
export function checkHostPort(value: number, entry?: string): void {
  if (v.is(port, value)) return
  throw new InvalidOptionError({ what: `${value} is no port`, entry, remedy: 'give a whole number from 1 to 65535' })
}

/** What a forward is called. */
export function forwardName({ guest, name }: ForwardOptions): string {
  if (name !== undefined) return name
  return typeof guest === 'number' ? String(guest) : guest.replace(/^.*\//, '').replace(/\.sock(et)?$/, '')
}

/** The variable that tells tests where a forward is. */
export function forwardVariable(name: string): string {
  return `TESTKERNELS_FORWARD_${name.toUpperCase().replaceAll(/[^A-Z0-9]/g, '_')}`
}

/** @throws InvalidOptionError for a name that cannot be one, or that two have; for a port of this machine that two ask for */
export function checkForwards(forwards: readonly ForwardOptions[], entry: string): void {
  const refuse = (what: string, remedy: string) => new InvalidOptionError({ what, entry, remedy })
  const names = forwards.map(forwardName)
  const strange = names.find((name) => !NAME.test(name))
  if (strange !== undefined)
    throw refuse(`a forward cannot be called '${strange}'`, 'give it a name of letters, digits, dots and dashes')
  const isTwice = <T>(value: T, at: number, all: readonly T[]) => all.indexOf(value) !== at
  const variable = names.map(forwardVariable).find(isTwice)
  if (variable !== undefined)
    throw refuse(`two forwards would be told to tests as ${variable}`, 'give each a name of its own')
  const taken = forwards.flatMap(({ host }) => host ?? []).find(isTwice)
  if (taken !== undefined) throw refuse(`two forwards ask for port ${taken} of this machine`, 'leave host out of one')
}

/**
 * A forward as the command line has it: `/run/x.sock`, `8080`, `5432:5432` with a port of this machine, `db=5432` with a name.
 * @throws InvalidOptionError
 */
export function parseForward(text: string): ForwardOptions {
  const [, name, host, guest = ''] = /^(?:([^=/]+)=)?(?:(\d+):)?(\/.+|\d+)$/.exec(text) ?? []
  if (guest === '')
    throw new InvalidOptionError({
      what: `'${text}' is no forward`,
      remedy: 'write --forward as [NAME=][HOST-PORT:]PATH or [NAME=][HOST-PORT:]PORT, such as db=5432:5432',
    })
  const place = guest.startsWith('/') ? guest : Number(guest)
  return { guest: place, ...(host && { host: Number(host) }), ...(name && { name }) }
}
