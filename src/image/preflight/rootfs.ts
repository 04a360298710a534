import type { GuestInit } from '../../options/index.ts'
import { RootfsUnsuitableError } from '../errors.ts'
import { checkDaemonJson } from './daemon-json.ts'

/** The last one that has cgroup v1. */
const LAST_SYSTEMD_WITH_CGROUP_V1 = 257

/** systemd of a rootfs. */
export interface SystemdFacts {
  /** As its shared library is named by it; undefined where that has another name. */
  readonly version: number | undefined
}

/** What is known of a rootfs before it is packed. */
export interface RootfsFacts {
  /** The text of its /etc/docker/daemon.json. */
  readonly daemonJson: string | undefined
  /** Undefined: it has none. */
  readonly systemd: SystemdFacts | undefined
}

/** What a rootfs is for. */
export interface RootfsPurpose {
  readonly entry: string
  readonly init: GuestInit
  readonly cgroup: 1 | 2
}

/** @throws RootfsUnsuitableError for a rootfs that no guest of this entry can have */
export function checkRootfs({ daemonJson, systemd }: RootfsFacts, purpose: RootfsPurpose): void {
  checkSystemd(systemd, purpose)
  if (daemonJson !== undefined && typeof purpose.init === 'string') checkDaemonJson(daemonJson, purpose)
}

/** @throws RootfsUnsuitableError where systemd is to be PID 1, and there is none, or none that can do what the entry asks for */
export function checkSystemd(systemd: SystemdFacts | undefined, { entry, init, cgroup }: RootfsPurpose): void {
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
}

/** As images have it in a label. */
export function formatSystemd({ version }: SystemdFacts): string {
  return version === undefined ? 'unknown' : String(version)
}

/** Undefined where nothing is said of it. */
export function parseSystemd(text: string | undefined): SystemdFacts | undefined {
  if (text === undefined) return undefined
  return { version: /^\d+$/.test(text) ? Number(text) : undefined }
}
