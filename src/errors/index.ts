export { formatError } from './format.ts'
export { inConfiguration, presentable, titleOf, toReport } from './presentable.ts'
export { type ErrorDetails, reasonOf, TestkernelsError } from './testkernels-error.ts'
