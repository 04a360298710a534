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
import { untilAlive } from '../boot/boot.ts'
import { type BootedVm, bootOnce } from '../boot/boot-once.ts'
import { headlineOf } from '../death/death.ts'
import { type MakeTemplateOptions, makeTemplate } from './make-template.ts'

/** A template that was just made, and that nothing can be restored from, is not made again. */
const MAKES = 2

/**
 * Starts a VM from its template, which is made first where there is none, or none that is whole. Who needs the same template
 * at the same time waits for it.
 * @throws TemplateNotMadeError, TemplateUnusableError where a cold boot may do; what a cold boot throws
 */
export async function startFromTemplate(options: MakeTemplateOptions): Promise<BootedVm> {
  for (let makes = 0; ; makes++) {
    try {
      return await untilAlive(options, (signal) =>
        bootOnce({ ...options, signal }, { kind: 'restore', template: options.template }),
      )
    } catch (thrown) {
      if (!(thrown instanceof TemplateUnusableError) || makes === MAKES) throw thrown
      if (thrown.why !== 'missing') options.log.warn(`${headlineOf(thrown)}; it is made anew`)
      await replaceTemplate(options, thrown)
    }
  }
}

async function replaceTemplate(options: MakeTemplateOptions, found: TemplateUnusableError): Promise<void> {
  const { entry, template, log, signal, timeline } = options
  const { volume, directory } = template
  const what = `template of ${kernelText(entry.kernel)}, cgroup v${entry.cgroup}`
  await using _lock = await acquireMachineLock(`template/${volume}/${directory}`, { what, log, signal })
  const context = storeContext(options)
  // Made by another process while we waited. One that gives no guest that lives looks whole all the same.
  if (found.why !== 'dead' && (await checkTemplate(template, context)) === undefined) return
  log.info(`making the ${what}, once`)
  await timeline.time('template', () => makeTemplate(options))
  await keepWithinBound(options, context)
}

async function keepWithinBound({ host, template, log }: MakeTemplateOptions, context: StoreContext): Promise<void> {
  const { volume, directory: keep } = template
  const limitBytes = host.settings.templatesMib * 2 ** 20
  const evicted = templatesToEvict(await listTemplates(volume, context), { limitBytes, keep })
  if (evicted.length === 0) return
  const what = evicted.length === 1 ? '1 template that was' : `${evicted.length} templates that were`
  log.info(`removing ${what} used least recently (TESTKERNELS_TEMPLATES_MIB)`)
  await removeTemplates(volume, evicted, context)
}

function storeContext({ host, entry, image, log, signal }: MakeTemplateOptions): StoreContext {
  const { engine, ownership } = host
  return { engine, ownership, image, entry: entry.name, log, signal }
}

/** Whether what was thrown leaves a cold boot to be tried. */
export function isTemplatesFault(thrown: unknown): thrown is TemplateUnusableError | TemplateNotMadeError {
  return thrown instanceof TemplateUnusableError || thrown instanceof TemplateNotMadeError
}
