import { TestkernelsError } from '../errors/index.ts'

/** Not made yet; not what was saved; or what was saved, and yet no guest that lives. */
export type WhyUnusable = 'missing' | 'damaged' | 'dead'

/** A template is not there, not whole, or no guest comes out of it. It is made anew before this reaches anybody. */
export class TemplateUnusableError extends TestkernelsError {
  readonly code = 'TEMPLATE_UNUSABLE'
  readonly why: WhyUnusable

  constructor(why: WhyUnusable, details: ConstructorParameters<typeof TestkernelsError>[0]) {
    super(details)
    this.why = why
  }
}

/** No template could be made. VMs boot cold then. */
export class TemplateNotMadeError extends TestkernelsError {
  readonly code = 'TEMPLATE_NOT_MADE'
}
