import type { QmpConnection } from './connection.ts'
import { endOfMigration, setIgnoreShared } from './migration.ts'

/** Id of the guest's writable disk in every machine of ours. */
const SCRATCH = 'scratch'

/** Where the two QEMUs meet: one directory, as each of them sees it. */
export interface MeetingPlace {
  readonly source: string
  readonly target: string
}

/**
 * Copies a guest into another QEMU of the same machine, which was started for it: disk, RAM and devices. The guest is stopped
 * meanwhile, and stays so in both.
 * @throws QemuCommandError
 */
export async function handOver(source: QmpConnection, target: QmpConnection, place: MeetingPlace): Promise<void> {
  await source.execute('stop')
  await copyDisk(source, target, place)
  // RAM travels as a whole here, whatever the mappings on both sides.
  await setIgnoreShared(source, false)
  await setIgnoreShared(target, false)
  const left = endOfMigration(source)
  const arrived = endOfMigration(target)
  for (const end of [left, arrived]) end.catch(() => {})
  await target.execute('migrate-incoming', { uri: `unix:${place.target}/handover.sock` })
  await source.execute('migrate', { uri: `unix:${place.source}/handover.sock` })
  await Promise.all([left, arrived])
}

/** The target serves its disk as a network block device, and the source writes its own into it. Holes stay holes. */
async function copyDisk(source: QmpConnection, target: QmpConnection, place: MeetingPlace): Promise<void> {
  const addr = { type: 'unix', data: { path: `${place.target}/disk.sock` } }
  await target.execute('nbd-server-start', { addr })
  await target.execute('nbd-server-add', { device: SCRATCH, name: SCRATCH, writable: true })
  const ended = source.event(({ event }) => event === 'BLOCK_JOB_COMPLETED' || event === 'BLOCK_JOB_ERROR')
  ended.catch(() => {})
  await source.execute('drive-backup', {
    'job-id': 'handover',
    device: SCRATCH,
    target: `nbd+unix:///${SCRATCH}?socket=${place.source}/disk.sock`,
    sync: 'full',
    mode: 'existing',
    format: 'raw',
  })
  await ended
  await target.execute('nbd-server-stop')
}
