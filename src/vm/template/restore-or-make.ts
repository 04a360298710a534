import { orAborted } from '../../lifetime/index.ts'
import { kernelText } from '../../options/index.ts'
import {
  listTemplates,
  removeTemplates,
  TemplateNotMadeError,
  TemplateUnusableError,
  templatesToEvict,
} from '../../template/index.ts'
import { restoreVm } from '../boot/boot.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { headlineOf } from '../death/death.ts'
import type { TemplatePlan } from '../plan.ts'
import { bootNeedsMib, type Turn } from '../pool/admission.ts'
import type { Start } from '../start.ts'
import { makeTemplate } from './make-template.ts'

/** A template that was just made, and that nothing can be restored from, is not made again. */
const MAKES = 2

/**
 * Starts a VM from its template, which is made first where there is none, or none that is whole. Starts that need the same
 * template at the same time wait for it.
 * @throws TemplateNotMadeError, TemplateUnusableError where a cold boot may do; what a cold boot throws
 */
export async function restoreOrMake(plan: TemplatePlan, start: Start, turn: Turn): Promise<BootedVm> {
  for (let makes = 0; ; makes++) {
    try {
      return await restoreVm(plan, start)
    } catch (thrown) {
      if (!(thrown instanceof TemplateUnusableError) || makes === MAKES) throw thrown
      if (thrown.why !== 'missing') start.log.warn(`${headlineOf(thrown)}; it is made anew`)
      await replaceTemplate(plan, start, { found: thrown, turn })
    }
  }
}

interface Replacing {
  readonly found: TemplateUnusableError
  readonly turn: Turn
}

async function replaceTemplate(plan: TemplatePlan, start: Start, { found, turn }: Replacing): Promise<void> {
  const { session, entry, template } = plan
  const { log, signal, timeline } = start
  const what = `template of ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}`
  const running = session.makings.running(template.directory)
  if (running !== undefined) {
    log.info(`another start is making the ${what}; waiting for it`)
    return await turn.waitFor(orAborted(running, signal))
  }
  using _making = session.makings.begin(template.directory)
  await turn.memory(bootNeedsMib(entry))
  using _step = timeline.step('template')
  // One that gives no guest that lives looks whole all the same.
  const made = await makeTemplate(plan, start, { what, former: found.why === 'dead' ? 'replaced' : 'kept' })
  if (made === 'made') await keepWithinBound(plan, start)
}

async function keepWithinBound(
  { session, entry, image, template }: TemplatePlan,
  { log, signal }: Start,
): Promise<void> {
  const { host, settings } = session
  const context = { host, image, entry: entry.name, log, signal }
  const limitBytes = settings.templatesMib * 2 ** 20
  const evicted = templatesToEvict(await listTemplates(template, context), { limitBytes, keep: template.directory })
  if (evicted.length === 0) return
  const templates = evicted.length === 1 ? '1 template that was' : `${evicted.length} templates that were`
  log.info(`removing ${templates} used least recently (TESTKERNELS_TEMPLATES_MIB)`)
  await removeTemplates(template, evicted, context)
}

/** Whether what was thrown leaves a cold boot to be tried. */
export function isTemplatesFault(thrown: unknown): thrown is TemplateUnusableError | TemplateNotMadeError {
  return thrown instanceof TemplateUnusableError || thrown instanceof TemplateNotMadeError
}
