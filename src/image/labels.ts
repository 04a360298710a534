import { createHash } from 'node:crypto'
import { type Images, imageLabels } from '../host/index.ts'
import type { GuestInit } from '../options/index.ts'
import { ImageUnusableError } from './errors.ts'
import { formatKernelFacts, type KernelFacts, parseKernelFacts } from './preflight/kernel-facts.ts'
import { formatSystemd, parseSystemd, type SystemdFacts } from './preflight/rootfs.ts'

/** On each image of a VM: the key of the kernel in it, and what is known of it. */
export const KERNEL_LABEL = 'testkernels.kernel'
const FACTS_LABEL = 'testkernels.kernel.facts'
/** The option of that name, as JSON, where it is not the default. */
const INIT_LABEL = 'testkernels.init'

/** The version of the systemd that is PID 1. */
const SYSTEMD_LABEL = 'testkernels.systemd'

/** Whether it has its kernel's debug information. */
const DEBUG_INFO_LABEL = 'testkernels.kernel.debug-info'

type Labels = Readonly<Record<string, string>>

/** What all images of VMs have in common. */
export const vmLabels = imageLabels('vm')

/** What an image says of the VM that it makes. */
export interface VmImageFacts {
  readonly kernel: KernelFacts
  readonly init: GuestInit
  /** The one that is PID 1. */
  readonly systemd?: SystemdFacts | undefined
  /** Whether it has the debug information of its kernel. */
  readonly debugInfo?: true | undefined
}

export function formatVmLabels(kernelKey: string, { kernel, init, systemd, debugInfo }: VmImageFacts): Labels {
  return {
    [KERNEL_LABEL]: kernelKey,
    [FACTS_LABEL]: formatKernelFacts(kernel),
    ...(init !== 'testkernels' && { [INIT_LABEL]: JSON.stringify(init) }),
    ...(systemd !== undefined && init === 'systemd' && { [SYSTEMD_LABEL]: formatSystemd(systemd) }),
    ...(debugInfo === true && { [DEBUG_INFO_LABEL]: 'true' }),
  }
}

/** By the digest of the label's text, some 30 KB for each kernel, which every start reads two times. */
const parsed = new Map<string, KernelFacts | undefined>()
/** More kernels than a matrix has at a time. */
const PARSED_AT_MOST = 64

/** What is known of the kernel in an image with these labels; undefined if it is not one of ours, or of another time. */
export function kernelFactsIn(labels: Labels): KernelFacts | undefined {
  const text = labels[FACTS_LABEL] ?? ''
  const digest = createHash('sha1').update(text).digest('base64')
  if (!parsed.has(digest)) {
    const [oldest] = parsed.keys()
    if (parsed.size >= PARSED_AT_MOST && oldest !== undefined) parsed.delete(oldest)
    parsed.set(digest, parseKernelFacts(text))
  }
  return parsed.get(digest)
}

/** Undefined for an image that is not one of ours, or of another time. */
export function parseVmLabels(labels: Labels): VmImageFacts | undefined {
  const kernel = kernelFactsIn(labels)
  const isOurs = Object.entries(vmLabels).every(([name, value]) => labels[name] === value)
  if (!isOurs || kernel === undefined) return undefined
  const init = labels[INIT_LABEL]
  const systemd = parseSystemd(labels[SYSTEMD_LABEL])
  return {
    kernel,
    init: init === undefined ? 'testkernels' : (JSON.parse(init) as GuestInit),
    ...(systemd !== undefined && { systemd }),
    ...(labels[DEBUG_INFO_LABEL] === 'true' && { debugInfo: true }),
  }
}

/** An image that was built before, here or elsewhere. */
export interface StoredVmImage extends VmImageFacts {
  readonly id: string
}

/**
 * The image that `testkernels build` printed the id of, by that id, a part of it, or a name.
 * @throws ImageUnusableError
 */
export async function storedVmImage(images: Pick<Images, 'inspect'>, ref: string): Promise<StoredVmImage> {
  const image = await images.inspect(ref)
  if (image === undefined) {
    throw new ImageUnusableError({
      what: `the engine has no image ${ref}`,
      remedy: 'give the id that `testkernels build` printed; an image from elsewhere must be pulled or loaded first',
    })
  }
  const facts = parseVmLabels(image.labels)
  if (facts !== undefined) return { id: image.id, ...facts }
  throw new ImageUnusableError({
    what: `${ref} is no image of a VM: it has not the labels that \`testkernels build\` gives one`,
    remedy:
      'give an image that this version of `testkernels build` made; for the kernel in another image, --kernel docker-image://REF',
  })
}
