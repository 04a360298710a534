import { firstFailure, reasonOf } from '../errors/index.ts'
import { HeldPorts } from '../forward/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { mountDirectory } from '../mounts/index.ts'
import { type KernelEntry, kernelText } from '../options/index.ts'
import { offerSsh } from './attach.ts'
import { bootVm, restoreVm } from './boot/boot.ts'
import type { BootedVm } from './boot/booted-vm.ts'
import { offerHostPort } from './boot/connect.ts'
import { wakeDeadline } from './boot/deadlines.ts'
import { sweepRunDirectories } from './boot/run-directory.ts'
import { Checkpoint, CheckpointRefusedError } from './checkpoint.ts'
import { consoleDirectory, sweepConsoleLogs } from './death/console-log.ts'
import { type Heartbeat, startHeartbeat } from './death/heartbeat.ts'
import { VmDebugger } from './debugger.ts'
import { openEntrance, openForwards } from './entrance.ts'
import { Family } from './family.ts'
import { hasTemplate, planVm, type TemplatePlan, type VmPlan, type VmRequest } from './plan.ts'
import { bootNeedsMib, CLONE_NEEDS_MIB, type Turn, type Waiting } from './pool/admission.ts'
import { makeSpare, type Spare } from './pool/spares.ts'
import { cloneStart, type ForkOptions, type Start } from './start.ts'
import { StartedKernelVm } from './started-kernel-vm.ts'
import { isTemplatesFault, restoreOrMake } from './template/restore-or-make.ts'
import { takeCheckpoint } from './template/take-checkpoint.ts'
import { waitUntilReady } from './wait.ts'

/**
 * Starts the first VM of an entry. What was started is ended when a later step fails.
 *
 * The steps, each in a file of its own: plan what is started (plan.ts); wait for a turn (pool/admission.ts); restore it from its
 * template, which is made where there is none (template/restore-or-make.ts), or boot it (boot/boot.ts); both start
 * a box with a guest (boot/guest.ts) and connect to it (boot/connect.ts); wait until it is ready (wait.ts).
 */
export async function launchVm(request: VmRequest, start: Start): Promise<StartedKernelVm> {
  const { session, entry } = request
  start.signal.throwIfAborted()
  await using ports = await HeldPorts.hold(entry, start.log)
  await sweepRunDirectories(session.settings.runtimeDirectory)
  await sweepConsoleLogs(consoleDirectory(session.settings))
  const plan = await planVm(request, start)
  start.log.info(`starting ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}, ${plan.runsOn}`)
  try {
    return await launch(newFamily(plan, start.log), start, ports)
  } finally {
    // Not before: a start does not wait for it.
    session.sweep()
  }
}

/** Starts one more VM of a plan. */
async function launch(family: Family, start: Start, ports: HeldPorts): Promise<StartedKernelVm> {
  try {
    return await ready(family, { booted: await admitted(family.plan, start), ports }, start)
  } catch (thrown) {
    throw firstFailure(thrown)
  }
}

async function admitted(plan: VmPlan, start: Start): Promise<BootedVm> {
  using turn = await plan.session.admission.turn(waiting(plan, start))
  await turn.memory(hasTemplate(plan) ? CLONE_NEEDS_MIB : bootNeedsMib(plan.entry))
  const vm = await restoreOrBoot(plan, start, turn)
  turn.started(vm.guest.box.exited)
  return vm
}

function waiting({ entry }: VmPlan, { log, signal, memoryWaitMs = entry.bootTimeoutMs }: Start): Waiting {
  return { entry: entry.name, log, signal, memoryWaitMs }
}

/** From the template; where that cannot be, cold. */
async function restoreOrBoot(plan: VmPlan, start: Start, turn: Turn): Promise<BootedVm> {
  if (!hasTemplate(plan)) return await bootVm(plan, start)
  if (plan.origin === 'checkpoint') return await restoreVm(plan, start)
  try {
    return await restoreOrMake(plan, start, turn)
  } catch (thrown) {
    if (!isTemplatesFault(thrown)) throw thrown
    start.log.warn(`${thrown.message}\n  booting cold`)
    await turn.memory(bootNeedsMib(plan.entry))
    return await bootVm(plan, start)
  }
}

interface Booted {
  readonly booted: BootedVm
  /** Those that its forwards ask for. */
  readonly ports: HeldPorts
}

async function ready(family: Family, { booted, ports }: Booted, start: Start): Promise<StartedKernelVm> {
  const { entry, image, machine, debugInfo, kernelRelease, waitStrategy } = family.plan
  const { timeline, signal, log, hostname } = start
  family.add(booted)
  const heartbeat = startHeartbeat(booted, family.plan, log)
  try {
    await offerSsh(booted, entry)
    const vm = new StartedKernelVm({
      entry,
      booted,
      kernelRelease,
      accelerator: machine.accelerator.kind,
      forwards: await ownForwards({ booted, ports }, entry),
      debugger: new VmDebugger({ booted, heartbeat, entry, machine, debugInfo: debugInfo ? image : undefined, log }),
      timeline,
      openEntrance: (place) => openEntrance(booted, { ...family.plan, log }, place),
      fork: (options) => fork(family, options),
      checkpoint: (options) => checkpoint(family, { booted, heartbeat }, options),
      reserveSpares: (count) => family.reserve(count),
      exposeHostPort: (port) => offerHostPort(booted, port),
    })
    if (entry.mounts.length > 0) await timeline.time('mounts', () => mountAll(booted, entry, start))
    if (waitStrategy !== undefined) await timeline.time('wait', () => waitUntilReady(vm, waitStrategy, signal))
    log.info(`${hostname === entry.name ? '' : `${hostname} is `}ready in ${timeline.summary()}`)
    return vm
  } catch (thrown) {
    await booted.disposals.dispose()
    throw thrown
  }
}

/** Not before somebody has the VM: a spare must not take the ports of one that is used. */
async function ownForwards({ booted, ports }: Booted, entry: KernelEntry) {
  const { forwards, runDirectory } = booted
  const place = { directory: runDirectory.path, directoryOwner: runDirectory.owner.uid, held: ports }
  const opened = await openForwards(forwards, entry, place)
  await Promise.all(entry.hostPorts.map((port) => offerHostPort(booted, port)))
  return opened
}

/** One after the other, those that are above others first: each guest's own, whatever it was restored from. */
async function mountAll(booted: BootedVm, { name, mounts }: KernelEntry, { log, signal }: Start): Promise<void> {
  const { streams, disposals, gone } = booted
  for (const mount of mounts.toSorted((one, other) => one.guest.length - other.guest.length)) {
    const request = { streams, mount, log, signal: AbortSignal.any([signal, gone]), gone, entry: name }
    disposals.use('mount', await mountDirectory(request))
  }
}

/** A clone: a spare that wakes up, or one that is started. */
async function fork(family: Family, options: ForkOptions = {}): Promise<StartedKernelVm> {
  const { entry } = family.plan
  const start = cloneStart(entry, { ...options, log: family.log })
  start.signal.throwIfAborted()
  await using ports = await HeldPorts.hold(entry, start.log)
  const spare = await spareOf(family, start)
  return spare === undefined ? await launch(family, start, ports) : await ready(family, { booted: spare, ports }, start)
}

async function spareOf(family: Family, start: Start): Promise<BootedVm | undefined> {
  const { timeline } = start
  const fromMs = timeline.nowMs
  const spare = await family.takeSpare(start.signal)
  if (spare === undefined) return undefined
  try {
    using deadline = wakeDeadline(family.plan.entry, start)
    return await spare.wake(deadline.signal)
  } catch (thrown) {
    await spare.vm.disposals.dispose()
    start.signal.throwIfAborted()
    family.log.debug(`a spare did not wake up: ${reasonOf(thrown)}`)
    return undefined
  } finally {
    timeline.add({ name: 'spare', fromMs, toMs: timeline.nowMs })
  }
}

interface Beating {
  readonly booted: BootedVm
  readonly heartbeat: Heartbeat
}

async function checkpoint(family: Family, { booted, heartbeat }: Beating, { signal }: ForkOptions = {}) {
  const { plan, log } = family
  refuseMounts(plan.entry)
  using _pause = heartbeat.pause()
  const { location, holder } = await takeCheckpoint(booted, plan, cloneStart(plan.entry, { log, signal }))
  const descendants = newFamily({ ...plan, template: location, origin: 'checkpoint' }, log)
  return new Checkpoint<StartedKernelVm>({
    host: plan.session.host,
    entry: plan.entry.name,
    volume: location.volume,
    holder,
    start: (options) => fork(descendants, options),
    end: () => descendants.close(),
  })
}

/** Its clones would go on with a mount that nobody serves, and with files open in it. */
function refuseMounts({ name, mounts }: KernelEntry): void {
  const [mount] = mounts
  if (mount === undefined) return
  throw new CheckpointRefusedError({
    what: `there is no checkpoint of a VM that has ${mount.host} mounted at ${mount.guest}`,
    entry: name,
    remedy: 'leave mounts out of the entry, and give the VM its files with copyTo(); fork() works with mounts',
  })
}

function newFamily(plan: VmPlan, log: Logger): Family {
  const make = hasTemplate(plan)
    ? (signal: AbortSignal) => admittedSpare(plan, cloneStart(plan.entry, { log, signal }))
    : undefined
  return new Family({ plan, makeSpare: make, log })
}

/** Undefined where there is no memory for it: nobody waits for a spare. */
async function admittedSpare(plan: TemplatePlan, start: Start): Promise<Spare | undefined> {
  const { admission } = plan.session
  using turn = await admission.turn({ ...waiting(plan, start), log: silentLogger })
  if (!(await admission.hasRoomForSpare())) return undefined
  const spare = await makeSpare(plan, start)
  turn.started(spare.vm.guest.box.exited)
  start.log.debug(`${start.hostname} is a spare after ${start.timeline.summary()}`)
  return spare
}
