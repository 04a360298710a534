import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { inspectImage } from '../engine/index.ts'
import { type Preload, parseVmLabels } from '../image/index.ts'
import { type Logger, silentLogger } from '../log/index.ts'
import type { KernelEntry } from '../options/index.ts'
import type { Accelerator } from '../qemu/index.ts'
import { type TemplateLocation, templateKey } from '../template/index.ts'
import { chooseAccelerator } from './accelerator/choose.ts'
import type { LogConsumer } from './boot/boot-options.ts'
import type { Host } from './host.ts'
import { type PrepareOptions, prepareImage, preparePreloads } from './prepare-image.ts'
import type { Timeline } from './timeline.ts'
import type { WaitStrategy } from './wait.ts'

/** All that is settled before a VM starts; every VM of one plan is a clone of the same template. */
export interface VmPlan {
  readonly host: Host
  readonly entry: KernelEntry
  /** Name of the image in the engine's store. */
  readonly image: string
  readonly accelerator: Accelerator
  /** Which accelerator it is, and why; for people. */
  readonly runsOn: string
  /** Undefined for VMs that boot cold. */
  readonly template: TemplateLocation | undefined
  /** A checkpoint is a template that cannot be made again. */
  readonly origin: 'image' | 'checkpoint'
  /** What the guest's dockerd has from the start. */
  readonly preloads: readonly Preload[]
  readonly logConsumer: LogConsumer | undefined
  /** When a VM is ready, beyond that its dockerd answers. */
  readonly waitStrategy: WaitStrategy | undefined
}

/** What a plan is made from. */
export interface PlanOptions extends PrepareOptions {
  /** The entry's image, where it is there already. @default prepared first */
  readonly image?: string
  /** Gets what consoles say, forks' as well. @default nobody does */
  readonly logConsumer?: LogConsumer | undefined
  /** What a VM's start waits for, beyond that its dockerd answers. @default nothing more */
  readonly waitStrategy?: WaitStrategy | undefined
}

/** Sees to the image, and finds out what runs it and whether it may start from a template. */
export async function planVm(options: PlanOptions, timeline: Timeline): Promise<VmPlan> {
  const { host, entry, logConsumer, waitStrategy, log = silentLogger } = options
  const signal = options.signal ?? new AbortController().signal
  const image = options.image ?? (await timeline.time('image', () => prepareImage(options))).ref
  const { accelerator, why } = await timeline.time('accelerator', () =>
    chooseAccelerator({ host, entry, image, log, signal }),
  )
  const preloads = entry.preload.length === 0 ? [] : await timeline.time('preload', () => preparePreloads(options))
  const template = await locateTemplate({ host, entry, image, accelerator, preloads }, log)
  const settled = { host, entry, image, accelerator, runsOn: why, template, preloads }
  return { ...settled, origin: 'image', logConsumer, waitStrategy }
}

async function locateTemplate(
  { host, entry, image, accelerator, preloads }: Pick<VmPlan, 'host' | 'entry' | 'image' | 'accelerator' | 'preloads'>,
  log: Logger,
): Promise<TemplateLocation | undefined> {
  if (!entry.template) return undefined
  const { id, labels } = (await inspectImage(host.engine, image)) ?? { id: image, labels: {} }
  // A command of the user's may be over before it is saved, and would go on from its middle in each clone.
  if (parseVmLabels(labels)?.init !== undefined) return undefined
  const { memoryMib, cpus, scratchMib, cgroup } = entry
  const hostCpu = await hostCpuOf(host)
  const preloaded = preloads.map(({ key }) => key)
  const { arch } = host.engine
  const key = templateKey({ imageId: id, arch, memoryMib, cpus, scratchMib, cgroup, accelerator, hostCpu, preloaded })
  log.debug(`template ${key} in the volume ${host.settings.templateVolume}`)
  return { volume: host.settings.templateVolume, directory: key }
}

/** Under KVM the guest's CPU is the machine's: one with other features cannot go on with a saved guest. */
async function hostCpuOf({ engine }: Host): Promise<string> {
  if (engine.locality !== 'local') return ''
  const cpuinfo = await readFile('/proc/cpuinfo', 'utf8').catch(() => '')
  const { cpuinfoFields } = engine.arch
  const lines = cpuinfo.split('\n').filter((line) => cpuinfoFields.includes(line.split(':', 1)[0]?.trim() ?? ''))
  return createHash('sha256')
    .update([...new Set(lines)].join('\n'))
    .digest('hex')
}
