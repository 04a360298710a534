import type { KernelEntry } from '../../options/index.ts'
import { RootfsUnsuitableError } from '../errors.ts'
import { checkDaemonJson } from './daemon-json.ts'

/** The last one that has cgroup v1. */
const LAST_SYSTEMD_WITH_CGROUP_V1 = 257

const engines = ['dockerd', 'containerd', 'none'] as const
/** What runs containers in a guest, and says when it is ready. */
export type GuestEngine = (typeof engines)[number]

/** systemd of a rootfs. */
export interface SystemdFacts {
  /** As its shared library is named by it; undefined where that has another name. */
  readonly version: number | undefined
  /** The first of these that the rootfs has a unit of: `docker.service`, or `containerd.service`. */
  readonly engine: GuestEngine
}

/** What is known of a rootfs before it is packed. */
export interface RootfsFacts {
  /** The text of its /etc/docker/daemon.json. */
  readonly daemonJson: string | undefined
  /** Undefined: it has none. */
  readonly systemd: SystemdFacts | undefined
}

/** What a rootfs is for. */
export interface RootfsPurpose extends Pick<KernelEntry, 'cgroup' | 'init' | 'preload' | 'daemon'> {
  readonly entry: string
}

/** @throws RootfsUnsuitableError for a rootfs that no guest of this entry can have */
export function checkRootfs({ daemonJson, systemd }: RootfsFacts, purpose: RootfsPurpose): void {
  checkSystemd(systemd, purpose)
  if (daemonJson !== undefined && typeof purpose.init === 'string') checkDaemonJson(daemonJson, purpose)
}

/** @throws RootfsUnsuitableError where systemd is to be PID 1, and there is none, or none that can do what the entry asks for */
export function checkSystemd(
  systemd: SystemdFacts | undefined,
  { entry, init, cgroup, preload, daemon }: RootfsPurpose,
): void {
  if (init !== 'systemd') return
  if (systemd === undefined) {
    throw new RootfsUnsuitableError({
      what: "the rootfs has no systemd (/lib/systemd/systemd), which init: 'systemd' makes PID 1",
      entry,
      remedy: 'install it in the rootfs (Debian and Ubuntu: systemd-sysv), or leave init out',
    })
  }
  if (cgroup === 1 && (systemd.version ?? 0) > LAST_SYSTEMD_WITH_CGROUP_V1) {
    throw new RootfsUnsuitableError({
      what: `systemd ${systemd.version} of the rootfs has no cgroup v1, which ended with ${LAST_SYSTEMD_WITH_CGROUP_V1}`,
      entry,
      remedy: 'take cgroup: 2, or a rootfs with an older one, such as debian:bookworm',
    })
  }
  const asksFor = preload.length > 0 ? 'images' : Object.keys(daemon).length > 0 ? 'daemon' : undefined
  if (systemd.engine !== 'dockerd' && asksFor !== undefined) {
    throw new RootfsUnsuitableError({
      what: `the rootfs has no docker.service, whose dockerd the option '${asksFor}' is for`,
      entry,
      remedy: `install docker in the rootfs (Debian: docker.io), or leave '${asksFor}' out and put into the rootfs what it says`,
    })
  }
}

/** As images have it in a label. */
export function formatSystemd({ version, engine }: SystemdFacts): string {
  return `${version ?? 'unknown'} ${engine}`
}

/** Undefined where nothing is said of it. */
export function parseSystemd(text: string | undefined): SystemdFacts | undefined {
  if (text === undefined) return undefined
  const [version = '', named] = text.split(' ')
  const engine = engines.find((one) => one === named) ?? 'none'
  return { version: /^\d+$/.test(version) ? Number(version) : undefined, engine }
}
