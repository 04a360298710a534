export { type TemplateInputs, templateKey } from './key.ts'
export {
  type Former,
  restoreFrom,
  saveCopyInto,
  saveInto,
  type TemplateLocation,
  type TemplateUse,
} from './location.ts'
export { describeUnusable, type Making, makingOf, TemplateNotMadeError, TemplateUnusableError } from './reports.ts'
export {
  type Bound,
  listTemplates,
  removeTemplates,
  type StoreContext,
  type StoredTemplate,
  templatesToEvict,
} from './store.ts'
