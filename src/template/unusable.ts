import type { BoxExit, Lines } from '../host/index.ts'
import { TemplateUnusableError } from './errors.ts'

/** images/runner/template ends with it when a template cannot be restored. */
const UNUSABLE_STATUS = 79
const SAID = /^testkernels: template: (.*)$/

/**
 * The error for a container that ended before its guest was restored.
 * @param stderr what it printed: the check's reason, or QEMU's
 */
export function describeUnusable(
  { exitCode }: BoxExit,
  { stderr, entry }: { readonly stderr: Pick<Lines, 'kept' | 'tail'>; readonly entry: string },
): TemplateUnusableError {
  const said = stderr.kept.map((line) => SAID.exec(line)?.[1]).find((reason) => reason !== undefined)
  const remedy = 'nothing need be done: it is made anew'
  if (exitCode === UNUSABLE_STATUS && said !== undefined) {
    const [, why = said] = /^damaged: (.*)$/.exec(said) ?? []
    if (said === 'missing')
      return new TemplateUnusableError('missing', { what: 'there is no template yet', entry, remedy })
    return new TemplateUnusableError('damaged', { what: `its template is damaged: ${why}`, entry, remedy })
  }
  return new TemplateUnusableError('dead', {
    what: `QEMU could not restore its template (status ${exitCode ?? 'unknown'})`,
    entry,
    remedy,
    output: stderr.tail(5),
  })
}
