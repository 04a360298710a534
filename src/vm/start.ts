import { silentLogger } from '../log/index.ts'
import { kernelText } from '../options/index.ts'
import { sweepRunDirectories } from './boot/run-directory.ts'
import { consoleDirectory, sweepConsoleLogs } from './death/console-log.ts'
import { Family } from './family.ts'
import { type PlanOptions, planVm } from './plan.ts'
import type { StartedKernelVm } from './started-kernel-vm.ts'
import { Timeline } from './timeline.ts'

export interface StartOptions extends PlanOptions {
  /** What was done for this start before. @default nothing */
  readonly timeline?: Timeline
}

/** Starts the VM of an entry: image, accelerator, boot. What was started is ended when a later step fails. */
export async function startVm(options: StartOptions): Promise<StartedKernelVm> {
  const { host, entry, log = silentLogger, timeline = new Timeline() } = options
  const signal = options.signal ?? new AbortController().signal
  signal.throwIfAborted()
  await sweepRunDirectories(host.settings.runtimeDirectory)
  await sweepConsoleLogs(consoleDirectory(host.settings))
  const plan = await planVm(options, timeline)
  log.info(`starting ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}, with ${plan.runsOn}`)
  return await new Family(plan, log).start({ hostname: entry.name, timeline, log, signal })
}
