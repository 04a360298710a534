import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'

/** Keys of a daemon.json, as dockerd has them. */
export type DaemonOptions = Readonly<Record<string, unknown>>

function isJson(value: { [key: string]: unknown }): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value)
  } catch {
    return false
  }
}

export const daemonOption = v.pipe(
  v.record(v.string(), v.unknown()),
  v.check(isJson, 'keys of daemon.json with values that JSON can have'),
)

/** What is ours to say, and why. */
const RESERVED: ReadonlyMap<string, string> = new Map([
  ...reasonFor("the guest's dockerd is reached at the socket that it has without it", [
    'hosts',
    'tls',
    'tlsverify',
    'tlscacert',
    'tlscert',
    'tlskey',
  ]),
  ...reasonFor('its containerd is started before it', ['containerd']),
  ...reasonFor("its data are on the guest's own disk", ['data-root', 'graph']),
  ...reasonFor('its containerd has its state there as well', ['exec-root']),
  ...reasonFor("the guest's PID 1 sees to its end", ['pidfile']),
])

function reasonFor(why: string, keys: readonly string[]): readonly (readonly [string, string])[] {
  return keys.map((key) => [key, why])
}

interface Checked {
  readonly daemon: DaemonOptions
  readonly init?: readonly string[] | undefined
}

/**
 * What dockerd does not know, or takes for nonsense, it says itself: versions differ.
 * @throws InvalidOptionError for keys that are ours
 */
export function checkDaemon({ daemon, init }: Checked, entry?: string): void {
  const refuse = (what: string, remedy: string): never => {
    throw new InvalidOptionError({ what: `the option 'daemon' ${what}`, remedy, entry })
  }
  const keys = Object.keys(daemon)
  if (init !== undefined && keys.length > 0)
    refuse("is for the guest's dockerd, in place of which 'init' has another command", 'leave one of the two out')
  for (const key of keys) {
    const why = RESERVED.get(key)
    if (why !== undefined) refuse(`has ${JSON.stringify(key)}, which is not yours to give: ${why}`, 'leave it out')
  }
  const { 'exec-opts': runtimeOptions, 'storage-driver': driver } = daemon
  if (Array.isArray(runtimeOptions) && runtimeOptions.includes('native.cgroupdriver=systemd'))
    refuse('has native.cgroupdriver=systemd in "exec-opts": the guest has no systemd', 'leave it out, for cgroupfs')
  if (driver === 'btrfs' || driver === 'zfs')
    refuse(
      `has the "storage-driver" ${driver}, which is that of another file system than the guest's`,
      'leave it out, for overlay2',
    )
}
