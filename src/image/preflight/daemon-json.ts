import * as v from 'valibot'
import type { GuestInit } from '../../options/index.ts'
import { RootfsUnsuitableError } from '../errors.ts'

/** Where the agent asks whether dockerd is up, and the owner's door leads. */
const SOCKETS = ['unix:///var/run/docker.sock', 'unix:///run/docker.sock']

/** The keys of daemon.json that matter here, with the types that dockerd has for them. */
const schema = v.looseObject({
  hosts: v.optional(v.array(v.string())),
  tls: v.optional(v.boolean()),
  tlsverify: v.optional(v.boolean()),
  'exec-opts': v.optional(v.array(v.string())),
  'storage-driver': v.optional(v.string()),
})
type DaemonJson = v.InferOutput<typeof schema>

interface Objection {
  /** Where this is PID 1. @default any */
  readonly init?: GuestInit
  readonly objects: (config: DaemonJson) => boolean
  readonly what: string
  readonly remedy: string
}

/** What keeps dockerd from coming up in a guest. Where it and our flags say the same, ours yield (images/guest/agent/command.c). */
const objections: readonly Objection[] = [
  {
    objects: ({ hosts }) => hosts !== undefined && !hosts.some((host) => SOCKETS.includes(host)),
    what: '"hosts" has no unix:///var/run/docker.sock, which is where the guest\'s dockerd is reached',
    remedy: 'add unix:///var/run/docker.sock to "hosts", or leave "hosts" out',
  },
  {
    init: 'testkernels',
    objects: ({ hosts }) => hosts?.some((host) => host.startsWith('fd://')) === true,
    what: '"hosts" has fd://, a socket that systemd would pass to dockerd: the guest has no systemd',
    remedy: 'take it out of "hosts", or set init: \'systemd\' (--init systemd)',
  },
  {
    objects: ({ hosts, tls, tlsverify }) => hosts === undefined && (tls === true || tlsverify === true),
    what: 'with "tls" or "tlsverify", and without "hosts", dockerd listens on tcp://localhost:2376 alone',
    remedy: 'set "hosts" to ["unix:///var/run/docker.sock", "tcp://127.0.0.1:2376"]',
  },
  {
    init: 'testkernels',
    objects: (config) => config['exec-opts']?.includes('native.cgroupdriver=systemd') === true,
    what: '"exec-opts" has native.cgroupdriver=systemd: the guest has no systemd',
    remedy: "leave it out, for the cgroup driver cgroupfs, or set init: 'systemd' (--init systemd)",
  },
  {
    objects: (config) => ['btrfs', 'zfs'].includes(config['storage-driver'] ?? ''),
    what: '"storage-driver" is that of another file system: the guest\'s disk is ext4',
    remedy: 'set it to overlay2, or leave it out',
  },
]

/**
 * Looks through the daemon.json of a rootfs for what would keep its dockerd from coming up, before anything is made of it.
 * @throws RootfsUnsuitableError naming the keys
 */
export function checkDaemonJson(
  text: string,
  { entry, init: pid1 }: { readonly entry: string; readonly init: GuestInit },
): void {
  const refuse = (what: string, remedy: string, cause?: unknown) => {
    const named = `the rootfs's /etc/docker/daemon.json will not do: ${what}`
    return new RootfsUnsuitableError({ what: named, entry, remedy, cause })
  }
  const config = parse(text, (cause) => refuse('dockerd cannot read it', 'correct it, or leave it out', cause))
  const objecting = objections.filter(({ init = pid1, objects }) => init === pid1 && objects(config))
  if (objecting.length === 0) return
  throw refuse(objecting.map(({ what }) => what).join('; '), objecting.map(({ remedy }) => remedy).join('; '))
}

function parse(text: string, refusal: (cause: unknown) => Error): DaemonJson {
  // dockerd takes an empty file for an empty object.
  if (text.trim() === '') return {}
  try {
    return v.parse(schema, JSON.parse(text))
  } catch (cause) {
    throw refusal(cause)
  }
}
