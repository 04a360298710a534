import { type Host, type OpenHostOptions, openDockerHost } from '../host/index.ts'
import type { Settings } from '../options/index.ts'
import { Admission } from './pool/admission.ts'
import { Makings } from './template/makings.ts'

/** What all VMs of this process share. */
export interface Session {
  /** The machine that they run on. */
  readonly host: Host
  readonly settings: Settings
  readonly admission: Admission
  readonly makings: Makings
}

/** @throws as `openDockerHost` */
export async function openSession(options: OpenHostOptions): Promise<Session> {
  return newSession(await openDockerHost(options), options.settings)
}

export function newSession(host: Host, settings: Settings): Session {
  const starts = Math.max(2, host.cores)
  const admission = new Admission({ starts, availableMib: () => host.availableMib() })
  return { host, settings, admission, makings: new Makings() }
}
