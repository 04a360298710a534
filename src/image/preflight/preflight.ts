import type { Logger } from '../../log/index.ts'
import { KernelUnsuitableError } from './errors.ts'
import { examine, type GuestPurpose, type MissingOption, type Shortcoming } from './examine.ts'
import type { KernelFacts } from './kernel-facts.ts'
import { remedyFor } from './remedy.ts'

export interface PreflightRequest extends GuestPurpose {
  readonly entry: string
  /** The kernel as the user named it. */
  readonly kernel: string
  /** `partial`: go without a controller that is missing, and say so. */
  readonly controllers: 'all' | 'partial'
  readonly log: Logger
}

/** So many options are named in a sentence; all of them are in the lines below it. */
const NAMED = 5

/**
 * Compares a kernel with what its guest needs, before anything is made of it.
 * @throws KernelUnsuitableError naming the options
 */
export function preflight(facts: KernelFacts, request: PreflightRequest): void {
  const { entry, kernel, cgroup, controllers, log } = request
  const named = `the kernel ${facts.release} (${kernel})`
  if (facts.config === undefined) {
    log.warn(`${named} came without its config: whether it has what the guest needs will show when it boots`)
    return
  }
  const shortcomings = examine(facts, request)
  const tolerated = controllers === 'partial' ? ['controller', 'feature'] : ['feature']
  const refused = shortcomings.filter(({ need }) => !tolerated.includes(need.of))
  if (refused.length > 0) {
    throw new KernelUnsuitableError({
      what: `${named} lacks ${namesOf(refused)}, which a guest on cgroup v${cgroup} needs`,
      entry,
      remedy: remedyFor(refused),
      output: refused.map(describe).join('\n'),
    })
  }
  const of = (level: string) => shortcomings.filter(({ need }) => need.of === level).map(describe)
  if (of('controller').length > 0) log.warn(`${named} goes without ${of('controller').join(', ')}`)
  if (of('feature').length > 0) log.debug(`${named} goes without ${of('feature').join(', ')}`)
}

function namesOf(shortcomings: readonly Shortcoming[]): string {
  const names = [...new Set(shortcomings.flatMap(({ missing }) => missing.map(({ name }) => `CONFIG_${name}`)))]
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : ''
  return names.slice(0, NAMED).join(', ') + more
}

/** `CONFIG_MEMCG_V1 (docker run --memory on cgroup v1)` */
function describe({ need, missing }: Shortcoming): string {
  return `${missing.map(describeOption).join(' ')} (${need.purpose})`
}

function describeOption({ name, why }: MissingOption): string {
  return why === 'off' ? `CONFIG_${name}` : `CONFIG_${name}=m without modules`
}
