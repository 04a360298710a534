import { statSync } from 'node:fs'
import { posix, resolve } from 'node:path'
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

const forwardsOption = v.array(
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
const hostPortsOption = v.pipe(
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

const accesses = ['read-only', 'read-write'] as const
/** What a guest may do with a directory of this machine. */
export type MountAccess = (typeof accesses)[number]

/** A directory of this machine that a guest is to have. */
export interface MountOptions {
  /** Its path here; taken from the working directory. */
  readonly host: string
  /** Where it is in the guest: an absolute path, and none that the guest itself is made of. */
  readonly guest: string
  /** @default 'read-only' */
  readonly access?: MountAccess
}

/** The guest's end of the door takes no longer one (images/door/door.h). */
const GUEST_PATH_MAX_BYTES = 1023

const mountsOption = v.array(
  v.strictObject({
    host: v.pipe(
      v.string(),
      v.minLength(1),
      v.transform((path) => resolve(path)),
    ),
    guest: v.pipe(v.string(), v.startsWith('/'), v.maxBytes(GUEST_PATH_MAX_BYTES)),
    access: v.optional(v.picklist(accesses), 'read-only'),
  }),
)

/** With all that is in them. */
const OURS = [
  ...['/.testkernels', '/boot', '/dev', '/lib/modules', '/proc', '/run', '/sys'],
  ...['/usr/lib/modules', '/var/lib/docker', '/var/run'],
]
/** Themselves: without what is in them the guest does not run. */
const SYSTEM = ['/bin', '/etc', '/lib64', '/sbin', '/usr/bin', '/usr/lib64', '/usr/sbin']

/** @throws InvalidOptionError for a directory that is not there; for a place where none can be, or two would */
export function checkMounts(mounts: readonly MountOptions[], entry: string, platform = process.platform): void {
  const refuse = (what: string, remedy: string) => new InvalidOptionError({ what, entry, remedy })
  if (mounts.length > 0 && platform !== 'linux')
    throw refuse("the option 'mounts' needs Linux on this machine", 'leave it out, and copy files with copyTo()')
  for (const { host, guest } of mounts) {
    if (statSync(host, { throwIfNoEntry: false })?.isDirectory() !== true)
      throw refuse(`${host} of the option 'mounts' is no directory of this machine`, 'correct the path')
    if (guest !== posix.normalize(guest) || /.\/$|[\n\0]/.test(guest))
      throw refuse(
        `'${guest}' of the option 'mounts' is no plain path`,
        `write it without '..', double or last slashes and line ends`,
      )
    const taken = OURS.find((path) => isIn(guest, path) || isIn(path, guest)) ?? SYSTEM.find((path) => guest === path)
    if (taken !== undefined)
      throw refuse(
        `${guest} cannot be mounted over: the guest needs its ${taken}`,
        'name a path of your own, such as /src',
      )
  }
  const twice = mounts.map(({ guest }) => guest).find((guest, at, all) => all.indexOf(guest) !== at)
  if (twice !== undefined) throw refuse(`two directories would be mounted at ${twice}`, 'give each a path of its own')
}

function isIn(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`)
}

/**
 * A mount as the command line has it, in docker's spelling: `.:/src`, `./out:/out:rw`.
 * @throws InvalidOptionError
 */
export function parseMount(text: string): MountOptions {
  const [, host = '', guest = '', access] = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/.exec(text) ?? []
  if (host === '')
    throw new InvalidOptionError({
      what: `'${text}' is no mount`,
      remedy: 'write --mount as HOST:GUEST, HOST:GUEST:ro or HOST:GUEST:rw, such as .:/src',
    })
  return { host, guest, access: access === 'rw' ? 'read-write' : 'read-only' }
}

/** What guest and machine have of each other. */
export interface SharedOptions {
  /**
   * Sockets and ports of the guest that this machine has as well, for each VM its own: `[{ guest: '/run/docker/containerd/containerd.sock' }]`.
   * Tests find them in `TESTKERNELS_FORWARD_CONTAINERD`. @default none. @throws ForwardPortTakenError
   */
  readonly forwards?: readonly ForwardOptions[]
  /** TCP ports of this machine's localhost that the guest has at `host.testkernels.internal`. @default none. @throws HostPortNotOpenedError */
  readonly hostPorts?: readonly number[]
  /**
   * Directories of this machine that each VM has, served by this process: `[{ host: '.', guest: process.cwd() }]`. Read-only unless they say
   * `access: 'read-write'`. A VM that has any makes no checkpoint. @default none. @throws KernelUnsuitableError; MountFailedError
   */
  readonly mounts?: readonly MountOptions[]
}

export const forwardFields = {
  forwards: v.optional(forwardsOption, []),
  hostPorts: v.optional(hostPortsOption, []),
  mounts: v.optional(mountsOption, []),
}
