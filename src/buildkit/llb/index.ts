export { commandOf, type Definition, definitionMessage } from './definition.ts'
export type { Network, RunOptions } from './exec.ts'
export {
  type CopyOptions,
  copy,
  FileActions,
  type MkdirOptions,
  mkdir,
  mkfile,
  type Owner,
  type RmOptions,
  rm,
} from './file.ts'
export { bind, cache, type Mount, output, secret, tmpfs } from './mount.ts'
export type { Platform } from './platform.ts'
export { type HttpOptions, http, type ImageOptions, image, type LocalOptions, local, scratch } from './source.ts'
export { ExecState, State } from './state.ts'
export type { HasOutput, Output, Vertex } from './vertex.ts'
