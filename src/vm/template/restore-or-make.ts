import { acquireMachineLock } from '../../engine/index.ts'
import { kernelText } from '../../options/index.ts'
import {
  checkTemplate,
  listTemplates,
  removeTemplates,
  type StoreContext,
  TemplateNotMadeError,
  TemplateUnusableError,
  templatesToEvict,
} from '../../template/index.ts'
import type { BootedVm } from '../boot/booted-vm.ts'
import { restoreVm } from '../boot/restore.ts'
import { headlineOf } from '../death/death.ts'
import type { TemplatePlan } from '../plan.ts'
import { bootNeedsMib, type Turn } from '../pool/index.ts'
import type { Start } from '../start.ts'
import { makeTemplate } from './make-template.ts'

/** A template that was just made, and that nothing can be restored from, is not made again. */
const MAKES = 2

/**
 * Starts a VM from its template, which is made first where there is none, or none that is whole. Who needs the same template
 * at the same time waits for it.
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
  const { entry, template } = plan
  const { log, signal, timeline } = start
  const { volume, directory } = template
  const what = `template of ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}`
  await using _lock = await acquireMachineLock(`template/${volume}/${directory}`, { what, log, signal })
  const context = storeContext(plan, start)
  // Made by another process while we waited. One that gives no guest that lives looks whole all the same.
  if (found.why !== 'dead' && (await checkTemplate(template, context)) === undefined) return
  await turn.memory(bootNeedsMib(entry))
  log.info(`making the ${what}, once`)
  await timeline.time('template', () => makeTemplate(plan, start))
  await keepWithinBound(plan, context)
}

async function keepWithinBound({ host, template }: TemplatePlan, context: StoreContext): Promise<void> {
  const { volume, directory: keep } = template
  const limitBytes = host.settings.templatesMib * 2 ** 20
  const evicted = templatesToEvict(await listTemplates(volume, context), { limitBytes, keep })
  if (evicted.length === 0) return
  const what = evicted.length === 1 ? '1 template that was' : `${evicted.length} templates that were`
  context.log.info(`removing ${what} used least recently (TESTKERNELS_TEMPLATES_MIB)`)
  await removeTemplates(volume, evicted, context)
}

function storeContext({ host, entry, image }: TemplatePlan, { log, signal }: Start): StoreContext {
  const { engine, ownership } = host
  return { engine, ownership, image, entry: entry.name, log, signal }
}

/** Whether what was thrown leaves a cold boot to be tried. */
export function isTemplatesFault(thrown: unknown): thrown is TemplateUnusableError | TemplateNotMadeError {
  return thrown instanceof TemplateUnusableError || thrown instanceof TemplateNotMadeError
}
