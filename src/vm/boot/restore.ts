import { loadState, resume, setVmNetworkLink } from '../../qemu/index.ts'
import { restoreFrom } from '../../template/index.ts'
import type { TemplatePlan } from '../plan.ts'
import type { Start } from '../start.ts'
import { Attempt } from './attempt.ts'
import type { BootedVm, Guest } from './booted-vm.ts'
import { connectVm, hasAnothersAddress } from './connect.ts'
import { bootDeadline, restoreDeadline } from './deadlines.ts'
import { startGuest, whyLost } from './guest.ts'

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
    const guest = await startGuest(attempt, { use, network: 'joined', signal: answer.signal })
    await loadGuest(attempt, guest, use.stateFile)
    return await connectVm(attempt, guest, { dockerd: 'answers' })
  } catch (thrown) {
    throw attempt.failure(answer.signal.aborted ? answer.signal.reason : thrown)
  }
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
