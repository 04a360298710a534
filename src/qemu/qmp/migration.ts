import { QemuCommandError } from '../errors.ts'
import type { QmpConnection } from './connection.ts'

/**
 * Stops the guest and writes its device state to a file. Its RAM is not in it: the memory's own file has that, because it is
 * mapped shared. Afterwards QEMU holds its disks no longer; `resume` takes them back.
 * @throws QemuCommandError
 */
export async function saveState(qmp: QmpConnection, file: string): Promise<void> {
  await qmp.execute('stop')
  await setIgnoreShared(qmp, true)
  await migrated(qmp, () => qmp.execute('migrate', { uri: `file:${file}` }))
}

/** Loads the device state into a QEMU that was started for it. The guest stays stopped. @throws QemuCommandError */
export async function loadState(qmp: QmpConnection, file: string): Promise<void> {
  await setIgnoreShared(qmp, true)
  await migrated(qmp, () => qmp.execute('migrate-incoming', { uri: `file:${file}` }))
}

/** Stops the guest's CPUs. @throws QemuCommandError */
export async function pause(qmp: QmpConnection): Promise<void> {
  await qmp.execute('stop')
}

/** Lets the guest's CPUs run (on). @throws QemuCommandError */
export async function resume(qmp: QmpConnection): Promise<void> {
  await qmp.execute('cont')
}

/** Ends QEMU. Its answer is read: one that was closed before it came left QEMU running. @throws QemuCommandError */
export async function quit(qmp: QmpConnection): Promise<void> {
  await qmp.execute('quit')
}

/**
 * Whether RAM that is a shared file is left out. Has no property that a command line could set (seen with QEMU 7.2 and 10.0).
 */
export async function setIgnoreShared(qmp: QmpConnection, state: boolean): Promise<void> {
  // Without its events, the end of a migration would have to be asked for.
  const capabilities = [
    { capability: 'events', state: true },
    { capability: 'x-ignore-shared', state },
  ]
  await qmp.execute('migrate-set-capabilities', { capabilities })
}

async function migrated(qmp: QmpConnection, start: () => Promise<unknown>): Promise<void> {
  // Listens before it starts: a small state is done at once.
  const ended = endOfMigration(qmp)
  ended.catch(() => {})
  await start()
  await ended
}

/** Resolves at the end of the migration that is started next. @throws QemuCommandError when it fails */
export async function endOfMigration(qmp: QmpConnection): Promise<void> {
  const { data } = await qmp.event(({ event, data }) => event === 'MIGRATION' && isEnd(data?.['status']))
  if (data?.['status'] === 'completed') return
  throw new QemuCommandError({
    what: "QEMU could not save or load the guest's state",
    cause: `the migration ${data?.['status']}`,
    remedy: "read QEMU's errors in the VM's output (--debug)",
  })
}

function isEnd(status: unknown): boolean {
  return status === 'completed' || status === 'failed' || status === 'cancelled'
}
