import type { Readable } from 'node:stream'
import {
  checkSystemd,
  chooseDrivers,
  describeMachine,
  type GuestEngine,
  type Preload,
  parseVmLabels,
  type VmImage,
} from '../image/index.ts'
import { ipv6Destinations, type KernelEntry } from '../options/index.ts'
import type { Machine } from '../qemu/index.ts'
import { type TemplateLocation, templateKey } from '../template/index.ts'
import { chooseAccelerator } from './accelerator/choose.ts'
import { type GuestSettings, guestSettings, machineOf } from './guest-settings.ts'
import { prepareImage, preparePreloads } from './prepare-image.ts'
import type { Session } from './session.ts'
import type { Start } from './start.ts'
import type { WaitStrategy } from './wait.ts'

/** What to start. */
export interface VmRequest {
  readonly session: Session
  readonly entry: KernelEntry
  /** The entry's image, where it is there already. @default prepared first */
  readonly image?: string
  /** Gets what consoles say, forks' as well. @default nobody does */
  readonly logConsumer?: LogConsumer | undefined
  /** What a VM's start waits for, beyond that its dockerd answers. @default nothing more */
  readonly waitStrategy?: WaitStrategy | undefined
}

/** All that is settled before a VM starts; every VM of one plan is a clone of the same template. */
export interface VmPlan {
  readonly session: Session
  readonly entry: KernelEntry
  /** Name of the image in the engine's store. */
  readonly image: string
  readonly machine: Machine
  /** What the kernel calls itself, as `uname -r` prints it; undefined where the image does not say. */
  readonly kernelRelease: string | undefined
  /** Whether the image has the debug information of its kernel. */
  readonly debugInfo: boolean
  /** Which machine and accelerator it is, and why; for people. */
  readonly runsOn: string
  /** Undefined for VMs that boot cold. */
  readonly template: TemplateLocation | undefined
  /** A checkpoint is a template that cannot be made again. */
  readonly origin: 'image' | 'checkpoint'
  /** What of the guest runs containers. */
  readonly engine: GuestEngine
  /** What a guest that boots is given before its dockerd is started. */
  readonly settings: GuestSettings | undefined
  /** What the guest's dockerd has from the start. */
  readonly preloads: readonly Preload[]
  readonly logConsumer: LogConsumer | undefined
  readonly waitStrategy: WaitStrategy | undefined
}

/** A plan of VMs that start from a saved one. */
export type TemplatePlan = VmPlan & { readonly template: TemplateLocation }

export function hasTemplate(plan: VmPlan): plan is TemplatePlan {
  return plan.template !== undefined
}

/** Sees to the image, and finds out what runs it and whether it may start from a template. */
export async function planVm(request: VmRequest, start: Start): Promise<VmPlan> {
  const { session, entry, logConsumer, waitStrategy } = request
  const { timeline } = start
  // Together: each asks the host, which may be far away.
  const [{ ref: image, stored: known }, network] = await Promise.all([imageOf(request, start), session.host.network()])
  const unrouted = network.ipv6 ? [] : ipv6Destinations(entry.egress)
  if (unrouted.length > 0)
    start.log.warn(
      `the engine's default bridge has no IPv6: no guest reaches ${unrouted.join(', ')} of the option egress`,
    )
  const { accelerator, why } = await timeline.time('accelerator', () =>
    chooseAccelerator({ session, entry, image, ...start }),
  )
  const preloads =
    entry.preload.length === 0 ? [] : await timeline.time('preload', () => preparePreloads({ session, entry }, start))
  const stored = known ?? (await session.host.images.inspect(image))
  const facts = parseVmLabels(stored?.labels ?? {})
  // An image that was made for one cgroup version is taken for the other as well.
  if (facts !== undefined) checkSystemd(facts.systemd, { ...entry, entry: entry.name, init: facts.init })
  const { transport, generation } = chooseDrivers(facts?.kernel, { arch: session.host.arch, machine: entry.machine })
  const isCommand = typeof facts?.init === 'object'
  const engine = isCommand ? 'none' : (facts?.systemd?.engine ?? 'dockerd')
  const settings =
    engine === 'dockerd'
      ? await guestSettings(entry, {
          access: await session.host.registryAccess(),
          networkMtu: network.mtu,
          log: start.log,
        })
      : undefined
  const machine = machineOf(entry, {
    arch: session.host.arch,
    transport,
    generation,
    accelerator,
    ipv6: network.ipv6 ? 'routed' : 'none',
    preload: preloads.length > 0 ? 'disk' : 'none',
    settings,
  })
  const runsOn = [...describeMachine({ transport, generation }, entry.machine), `with ${why}`].join(', ')
  const kernelRelease = facts?.kernel.release
  const debugInfo = facts?.debugInfo === true
  const parts = { machine, kernelRelease, engine, debugInfo, settings, preloads, runsOn }
  const settled = { session, entry, image, ...parts, logConsumer, waitStrategy }
  // A command of the user's may be over before it is saved, and would go on from its middle in each clone.
  const template =
    entry.template && !isCommand ? await locateTemplate({ ...settled, imageId: stored?.id ?? image }, start) : undefined
  return { ...settled, template, origin: 'image' }
}

/** Prepared, where it is not there already. */
async function imageOf({ session, entry, image }: VmRequest, start: Start): Promise<Pick<VmImage, 'ref' | 'stored'>> {
  if (image !== undefined) return { ref: image }
  return await start.timeline.time('image', () => prepareImage({ session, entry }, start))
}

interface Templated extends Pick<VmPlan, 'session' | 'entry' | 'machine' | 'preloads'> {
  readonly imageId: string
}

async function locateTemplate(
  { session, entry, imageId, machine, preloads }: Templated,
  { log }: Start,
): Promise<TemplateLocation> {
  const { host, settings } = session
  const { scratchMib } = entry
  // Under KVM the guest's CPU is the machine's: one with other features cannot go on with a saved guest.
  const hostCpu = await host.processor()
  const key = templateKey({ imageId, machine, scratchMib, hostCpu, preloaded: preloads.map((one) => one.key) })
  log.debug(`template ${key} in the volume ${settings.templateVolume}`)
  return { volume: settings.templateVolume, keptFor: 'cache', directory: key }
}

/** Takes a stream of strings, each a line of a guest's console. Called for each VM, before its first line. */
export type LogConsumer = (lines: Readable) => unknown
