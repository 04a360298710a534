export { formatError } from './format.ts'
export { type ErrorDetails, reasonOf, TestkernelsError } from './testkernels-error.ts'
