export {
  type Former,
  restoreFrom,
  saveCopyInto,
  saveInto,
  type TemplateInputs,
  type TemplateLocation,
  type TemplateUse,
  templateKey,
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
