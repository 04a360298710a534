import { randomBytes } from 'node:crypto'
import type { Preload } from '../image/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import { type KernelEntry, kernelText } from '../options/index.ts'
import { bootVm } from './boot/boot.ts'
import { type BootedVm, bootOnce } from './boot/boot-once.ts'
import type { BootOptions } from './boot/boot-options.ts'
import { sweepRunDirectories } from './boot/run-directory.ts'
import { Checkpoint } from './checkpoint.ts'
import { consoleDirectory, sweepConsoleLogs } from './death/console-log.ts'
import type { Fork, ForkOptions } from './fork.ts'
import { planVm, type VmPlan } from './plan.ts'
import type { PrepareOptions } from './prepare-image.ts'
import { StartedKernelVm } from './started-kernel-vm.ts'
import { preloadImages } from './template/preload.ts'
import { isTemplatesFault, startFromTemplate } from './template/start-from-template.ts'
import { takeCheckpoint } from './template/take-checkpoint.ts'
import { Timeline } from './timeline.ts'

export interface StartOptions extends PrepareOptions {
  /** The entry's image, where it is there already. @default prepared first */
  readonly image?: string
}

/** Starts the VM of an entry: image, accelerator, boot. What was started is ended when a later step fails. */
export async function startVm(options: StartOptions): Promise<StartedKernelVm> {
  const { host, entry, log = silentLogger } = options
  const signal = options.signal ?? new AbortController().signal
  const timeline = new Timeline()
  signal.throwIfAborted()
  await sweepRunDirectories(host.settings.runtimeDirectory)
  await sweepConsoleLogs(consoleDirectory(host.settings))
  const plan = await planVm(options, timeline)
  log.info(`starting ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}, with ${plan.runsOn}`)
  return await startPlanned(plan, { hostname: entry.name, timeline, log, signal })
}

interface PlannedStart {
  readonly hostname: string
  readonly timeline: Timeline
  readonly log: Logger
  readonly signal: AbortSignal
}

async function startPlanned(plan: VmPlan, start: PlannedStart): Promise<StartedKernelVm> {
  const { entry } = plan
  const booted = await bootPlanned(plan, start)
  start.log.info(`ready in ${start.timeline.summary()}`)
  const next = ({ signal = new AbortController().signal }: ForkOptions = {}): PlannedStart => ({
    hostname: cloneName(entry),
    timeline: new Timeline(),
    log: start.log,
    signal,
  })
  return new StartedKernelVm({
    entry,
    booted,
    timeline: start.timeline,
    fork: (options) => startPlanned(plan, next(options)),
    checkpoint: async (options) => {
      const { host } = plan
      const template = await takeCheckpoint(booted, { ...plan, ...next(options) })
      const start: Fork<StartedKernelVm> = (how) => startPlanned({ ...plan, template, origin: 'checkpoint' }, next(how))
      return new Checkpoint({ host, entry: entry.name, volume: template.volume, start })
    },
  })
}

/** From the template; where that cannot be, cold. */
async function bootPlanned({ template, preloads, ...plan }: VmPlan, start: PlannedStart): Promise<BootedVm> {
  const options: BootOptions = { ...plan, ...start }
  if (template === undefined) return await bootCold(options, preloads)
  if (plan.origin === 'checkpoint') return await bootOnce(options, { kind: 'restore', template })
  try {
    return await startFromTemplate({ ...options, template, preloads })
  } catch (thrown) {
    if (!isTemplatesFault(thrown)) throw thrown
    start.log.warn(`${thrown.message}\n  booting cold`)
    return await bootCold(options, preloads)
  }
}

async function bootCold(options: BootOptions, preloads: readonly Preload[]): Promise<BootedVm> {
  const booted = await bootVm(options)
  const signal = AbortSignal.any([options.signal, booted.gone])
  try {
    await preloadImages(preloads, booted.docker, { log: options.log, signal })
    return booted
  } catch (thrown) {
    await booted.disposals.dispose()
    throw thrown
  }
}

/** Clones of one entry have hostnames of their own: `cgroupv1-3fa2c1`. */
function cloneName({ name }: KernelEntry): string {
  const own = `-${randomBytes(3).toString('hex')}`
  return name.slice(0, 63 - own.length) + own
}
