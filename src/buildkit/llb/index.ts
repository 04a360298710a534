export type { HasOutput, Output, Platform, Vertex } from './definition.ts'
export { commandOf, type Definition, definitionMessage } from './definition.ts'
export { bind, cache, type Mount, type Network, output, type RunOptions, secret, tmpfs } from './exec.ts'
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
export {
  ExecState,
  type HttpOptions,
  http,
  type ImageOptions,
  image,
  type LocalOptions,
  local,
  State,
  scratch,
} from './state.ts'
