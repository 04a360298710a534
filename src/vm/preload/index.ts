export { loadImages, renameImages } from './load.ts'
export { sendImages } from './send.ts'
