export { type TemplateInputs, templateKey } from './key.ts'
export {
  type Former,
  restoreFrom,
  saveCopyInto,
  saveInto,
  type TemplateLocation,
  type TemplateUse,
} from './location.ts'
export {
  describeUnusable,
  type Making,
  makingOf,
  mayBeUnusable,
  saved,
  TemplateNotMadeError,
  TemplateUnusableError,
} from './reports.ts'
export {
  type Bound,
  holdVolume,
  listTemplates,
  removeTemplates,
  type StoreContext,
  type StoredTemplate,
  sealTemplate,
  templatesToEvict,
} from './store.ts'
