import type { Preload } from '../image/index.ts'
import { bootVm } from './boot/boot.ts'
import { type BootedVm, bootOnce } from './boot/boot-once.ts'
import type { BootOptions } from './boot/boot-options.ts'
import type { VmPlan } from './plan.ts'
import { preloadImages } from './template/preload.ts'
import { isTemplatesFault, startFromTemplate } from './template/start-from-template.ts'

/** What tells one VM of a plan from another. */
export type OneStart = Pick<BootOptions, 'hostname' | 'timeline' | 'log' | 'signal'>

/** From the template; where that cannot be, cold. */
export async function bootPlanned({ template, preloads, ...plan }: VmPlan, start: OneStart): Promise<BootedVm> {
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
