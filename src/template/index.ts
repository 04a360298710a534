export { type Bound, templatesToEvict } from './bound.ts'
export { TemplateNotMadeError, TemplateUnusableError } from './errors.ts'
export { type TemplateInputs, templateKey } from './key.ts'
export {
  type Former,
  restoreFrom,
  saveCopyInto,
  saveInto,
  type TemplateLocation,
  type TemplateUse,
} from './location.ts'
export { type Making, makingOf } from './making.ts'
export {
  listTemplates,
  removeTemplates,
  type StoreContext,
  type StoredTemplate,
} from './store.ts'
export { describeUnusable } from './unusable.ts'
