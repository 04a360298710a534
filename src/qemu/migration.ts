import { visibleLine } from '../errors/index.ts'
import { VM_NETWORK_ID } from './devices.ts'
import { QemuCommandError, type QmpCommands } from './qmp.ts'

/**
 * Stops the guest and writes its device state to a file. Its RAM is not in it: the memory's own file has that, because it is
 * mapped shared. Afterwards QEMU holds its disks no longer; `resume` takes them back.
 * @throws QemuCommandError
 */
export async function saveState(qmp: QmpCommands, file: string): Promise<void> {
  await qmp.execute('stop')
  await setIgnoreShared(qmp, true)
  await migrated(qmp, () => qmp.execute('migrate', { uri: `file:${file}` }))
}

/** Loads the device state into a QEMU that was started for it. The guest stays stopped. @throws QemuCommandError */
export async function loadState(qmp: QmpCommands, file: string): Promise<void> {
  // Together, because each answer takes a round trip: QEMU does them in turn, and a guest that it loaded in another way does not run.
  await Promise.all([
    setIgnoreShared(qmp, true),
    migrated(qmp, () => qmp.execute('migrate-incoming', { uri: `file:${file}` })),
  ])
}

/** Stops the guest's CPUs. @throws QemuCommandError */
export async function pause(qmp: QmpCommands): Promise<void> {
  await qmp.execute('stop')
}

/** Lets the guest's CPUs run (on). @throws QemuCommandError */
export async function resume(qmp: QmpCommands): Promise<void> {
  await qmp.execute('cont')
}

/** Whether the guest's device for a network of VMs has a link: without one nothing comes or goes there. @throws QemuCommandError */
export async function setVmNetworkLink(qmp: QmpCommands, state: 'up' | 'down'): Promise<void> {
  await qmp.execute('set_link', { name: VM_NETWORK_ID, up: state === 'up' })
}

/** Ends QEMU. Its answer is read: one that was closed before it came left QEMU running. @throws QemuCommandError */
export async function quit(qmp: QmpCommands): Promise<void> {
  await qmp.execute('quit')
}

/**
 * From now on QEMU stays when its guest ends itself, by a reset or a power-off: stopped, with its memory and processors as they were.
 * It says SHUTDOWN all the same. @throws QemuCommandError
 */
export async function stayAtGuestsEnd(qmp: QmpCommands): Promise<void> {
  await qmp.execute('set-action', { shutdown: 'pause' })
}

/**
 * Writes the guest's RAM and the state of its processors to a file, as an ELF core, from its first byte to its last; a pipe will do, and
 * has to be read when this is called. A guest that runs stands still meanwhile, and then goes on, whatever comes of it.
 * @throws QemuCommandError
 */
export async function dumpMemory(qmp: QmpCommands, file: string): Promise<void> {
  const ended = qmp.event(({ event }) => event === 'DUMP_COMPLETED')
  ended.catch(() => {})
  await qmp.execute('dump-guest-memory', { paging: false, protocol: `file:${file}`, detach: true })
  const { data } = await ended
  if (data?.['error'] === undefined) return
  throw new QemuCommandError({
    what: "QEMU could not write the guest's memory",
    cause: visibleLine(String(data['error'])),
    remedy: "read QEMU's errors in the VM's output (--debug)",
  })
}

/**
 * Listens at a unix socket for gdb, one at a time. The guest stops when one connects, and goes on when one detaches.
 * @throws QemuCommandError
 */
export async function startGdbStub(qmp: QmpCommands, socket: string): Promise<void> {
  const said = await qmp.execute('human-monitor-command', {
    'command-line': `gdbserver unix:${socket},server=on,wait=off`,
  })
  if (String(said).startsWith('Waiting for gdb connection')) return
  throw new QemuCommandError({
    what: 'QEMU does not listen for gdb',
    cause: visibleLine(String(said)),
    remedy: "read QEMU's errors in the VM's output (--debug)",
  })
}

/**
 * Whether RAM that is a shared file is left out. Has no property that a command line could set (seen with QEMU 7.2 and 10.0).
 */
async function setIgnoreShared(qmp: QmpCommands, state: boolean): Promise<void> {
  // Without its events, the end of a migration would have to be asked for.
  const capabilities = [
    { capability: 'events', state: true },
    { capability: 'x-ignore-shared', state },
  ]
  await qmp.execute('migrate-set-capabilities', { capabilities })
}

async function migrated(qmp: QmpCommands, start: () => Promise<unknown>): Promise<void> {
  // Listens before it starts: a small state is done at once.
  const ended = endOfMigration(qmp)
  ended.catch(() => {})
  await start()
  await ended
}

/** Resolves at the end of the migration that is started next. @throws QemuCommandError when it fails */
async function endOfMigration(qmp: QmpCommands): Promise<void> {
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

/** Id of the guest's writable disk in every machine of ours. */
const SCRATCH = 'scratch'
const JOB = 'handover'
/** No limit: QEMU's default, 128 MiB a second, is for networks. */
const BYTES_PER_SECOND = 2 ** 40

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
export async function handOver(source: QmpCommands, target: QmpCommands, place: MeetingPlace): Promise<void> {
  await source.execute('stop')
  await copyDisk(source, target, place)
  // RAM travels as a whole here, whatever the mappings on both sides.
  await setIgnoreShared(source, false)
  await setIgnoreShared(target, false)
  await source.execute('migrate-set-parameters', { 'max-bandwidth': BYTES_PER_SECOND })
  const left = endOfMigration(source)
  const arrived = endOfMigration(target)
  for (const end of [left, arrived]) end.catch(() => {})
  await target.execute('migrate-incoming', { uri: `unix:${place.target}/handover.sock` })
  await source.execute('migrate', { uri: `unix:${place.source}/handover.sock` })
  await Promise.all([left, arrived])
}

/** The target serves its disk as a network block device, and the source writes its own into it. Holes stay holes. */
async function copyDisk(source: QmpCommands, target: QmpCommands, place: MeetingPlace): Promise<void> {
  const addr = { type: 'unix', data: { path: `${place.target}/disk.sock` } }
  await target.execute('nbd-server-start', { addr })
  await target.execute('nbd-server-add', { device: SCRATCH, name: SCRATCH, writable: true })
  const ready = jobEvent(source, 'BLOCK_JOB_READY')
  await source.execute('drive-mirror', {
    'job-id': JOB,
    device: SCRATCH,
    target: `nbd+unix:///${SCRATCH}?socket=${place.source}/disk.sock`,
    sync: 'full',
    mode: 'existing',
    format: 'raw',
    // A backup job would write zeros where the source has holes.
    unmap: true,
  })
  await ready
  // What is stopped writes nothing: the copy is whole, and the source stays with its own disk.
  const ended = jobEvent(source, 'BLOCK_JOB_COMPLETED')
  await source.execute('block-job-cancel', { device: JOB })
  await ended
  await target.execute('nbd-server-stop')
}

/** Listens at once: a small disk is copied before the command is answered. @throws QemuCommandError when the job fails */
function jobEvent(qmp: QmpCommands, wanted: string): Promise<void> {
  const seen = qmp
    .event(({ event }) => event === wanted || event === 'BLOCK_JOB_ERROR' || event === 'BLOCK_JOB_COMPLETED')
    .then(({ event, data }) => {
      if (event === wanted && data?.['error'] === undefined) return
      throw new QemuCommandError({
        what: "QEMU could not copy the guest's disk",
        cause: String(data?.['error'] ?? event),
        remedy: "see whether the engine's disk is full",
      })
    })
  seen.catch(() => {})
  return seen
}
