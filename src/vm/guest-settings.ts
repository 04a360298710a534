import { createHash } from 'node:crypto'
import type { KernelEntry } from '../options/index.ts'
import type { GuestFile } from '../qemu/index.ts'

/**
 * What a guest that boots is given over its control port before its dockerd is started, and waits for (images/guest/agent/settings.c). A
 * saved guest has it, so the template's key has its digest.
 */
export interface GuestSettings {
  readonly files: readonly GuestFile[]
}

/** Goes before what the rootfs's daemon.json says: images/guest/agent/daemon-json.c. */
const DAEMON_JSON = '/.testkernels/etc/daemon.json'

/** @returns undefined where there is nothing to tell a guest */
export function guestSettings({ daemon }: Pick<KernelEntry, 'daemon'>): GuestSettings | undefined {
  const files: GuestFile[] = []
  if (Object.keys(daemon).length > 0) files.push({ path: DAEMON_JSON, content: JSON.stringify(daemon) })
  return files.length === 0 ? undefined : { files }
}

/** What the guest's kernel is told: that there are settings to wait for, and which. */
export function settingsWords(settings: GuestSettings | undefined): readonly string[] {
  if (settings === undefined) return []
  const digest = createHash('sha256').update(JSON.stringify(settings.files)).digest('hex').slice(0, 32)
  return [`testkernels.settings=${digest}`]
}
