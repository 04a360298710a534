import { dockerdAt } from '../../host/index.ts'
import type { Deadline } from '../../lifetime/index.ts'
import type { Logger } from '../../log/index.ts'
import { loadState, resume, setVmNetworkLink } from '../../qemu/index.ts'
import { restoreFrom } from '../../template/index.ts'
import { NoSignOfLifeError } from '../errors.ts'
import type { TemplatePlan, VmPlan } from '../plan.ts'
import { loadImages, renameImages } from '../preload.ts'
import type { Start } from '../start.ts'
import { Attempt } from './attempt.ts'
import type { BootedVm, Guest } from './booted-vm.ts'
import { connectVm, hasAnothersAddress } from './connect.ts'
import { bootDeadline, restoreDeadline } from './deadlines.ts'
import { type BoxUse, startGuest, userSpace, whyLost } from './guest.ts'

const ATTEMPTS = 3

/**
 * Boots a VM from its kernel's first instruction until its dockerd answers, and has its images.
 * @throws BootTimeoutError; DockerdFailedError; VmDiedError; DeviceMissingError; SshHostKeyMismatchError; ImageTransferError
 */
export async function bootVm(plan: VmPlan, start: Start): Promise<BootedVm> {
  const vm = await bootWithin(plan, start)
  try {
    const signal = AbortSignal.any([start.signal, vm.gone])
    if (plan.preloads.length > 0) {
      using _step = start.timeline.step('load images')
      await loadImages(plan, { control: vm.guest.control, ranges: vm.guest.images, signal }, start)
      await renameImages(plan.preloads, dockerdAt(vm.docker.path))
    }
    return vm
  } catch (thrown) {
    await vm.disposals.dispose()
    throw thrown
  }
}

async function bootWithin(plan: VmPlan, start: Start): Promise<BootedVm> {
  using deadline = bootDeadline(plan.entry, start)
  for (let attempts = 1; ; attempts++) {
    try {
      return await bootOnce(plan, { ...start, signal: deadline.signal }, deadline)
    } catch (thrown) {
      unlessHopeless(thrown, { attempts, log: start.log })
    }
  }
}

async function bootOnce(plan: VmPlan, start: Start, deadline: Deadline): Promise<BootedVm> {
  await using attempt = await Attempt.open(plan, start)
  attempt.followConsole()
  try {
    const guest = await startGuest(attempt, { network: 'joined', signal: start.signal, deadline })
    await userSpace(attempt, guest)
    return await connectVm(attempt, guest, { dockerd: 'starting' })
  } catch (thrown) {
    throw attempt.failure(thrown)
  }
}

/** Returns when a guest that showed no sign of life is to be started again. @throws what was thrown, in any other case */
export function unlessHopeless(
  thrown: unknown,
  { attempts, log }: { readonly attempts: number; readonly log: Logger },
): void {
  if (!(thrown instanceof NoSignOfLifeError) || attempts === ATTEMPTS) throw thrown
  log.warn(`${thrown.message}\n  starting it again`)
}

/**
 * Starts a VM from where its template was saved. It is the owner's when its dockerd can be asked.
 * @throws TemplateUnusableError, after which there is a template to be made; what `bootVm` throws
 */
export async function restoreVm(plan: TemplatePlan, start: Start): Promise<BootedVm> {
  using boot = bootDeadline(plan.entry, start)
  await using attempt = await Attempt.open(plan, { ...start, signal: boot.signal })
  attempt.followConsole()
  using answer = restoreDeadline(plan.entry, attempt.console, boot.signal)
  try {
    const use = restoreFrom(plan.template)
    const guest = await checkedGuest(attempt, { use, network: 'joined', signal: answer.signal, deadline: answer })
    await loadGuest(attempt, guest, use.stateFile)
    return await connectVm(attempt, guest, { dockerd: 'answers' })
  } catch (thrown) {
    throw attempt.failure(answer.signal.aborted ? answer.signal.reason : thrown)
  }
}

/** Its box first looks whether each file of the template is what was saved, which takes as long as they are large. */
async function checkedGuest(attempt: Attempt, use: BoxUse): Promise<Guest> {
  using _pause = use.deadline?.pause()
  return await startGuest(attempt, use)
}

async function loadGuest(attempt: Attempt, guest: Guest, stateFile: string): Promise<void> {
  using _step = attempt.start.timeline.step('restore')
  const monitor = guest.monitor.until(guest.signal)
  try {
    await loadState(monitor, stateFile)
    if (hasAnothersAddress(attempt, guest)) await setVmNetworkLink(monitor, 'down')
    await resume(monitor)
  } catch (thrown) {
    throw await whyLost(guest, thrown)
  }
}
