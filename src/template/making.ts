import type { Box } from '../host/index.ts'

/** images/runner/supervise ends with it when another container made the template meanwhile. */
const MADE_STATUS = 80
const WAITING = 'testkernels: template: waiting'
const MAKING = 'testkernels: template: making'

/** Whether a box makes its template, or need not. `failed`: it ended, and says why. */
export type Making = 'begun' | 'made by another' | 'failed'

/**
 * Waits until a box that was started to save into a template is the only one on its host that makes it.
 * @param onWaiting is called when another makes it
 */
export async function makingOf(
  { stderr, exited }: Pick<Box, 'stderr' | 'exited'>,
  onWaiting: () => void,
): Promise<Making> {
  let told = false
  for await (const line of stderr) {
    if (line === MAKING) return 'begun'
    if (line !== WAITING || told) continue
    told = true
    onWaiting()
  }
  return (await exited).exitCode === MADE_STATUS ? 'made by another' : 'failed'
}
