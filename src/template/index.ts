export { type Bound, templatesToEvict } from './bound.ts'
export { TemplateNotMadeError, TemplateUnusableError } from './errors.ts'
export { type TemplateInputs, templateKey } from './key.ts'
export { restoreFrom, saveCopyInto, saveInto, type TemplateLocation, type TemplateUse } from './location.ts'
export {
  checkTemplate,
  listTemplates,
  removeTemplates,
  type StoreContext,
  type StoredTemplate,
} from './store.ts'
export { describeUnusable } from './unusable.ts'
