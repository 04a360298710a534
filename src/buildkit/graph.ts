// For those who only describe a graph: index.ts has all of this as well, and loads gRPC, which takes longer than to find that
// there is nothing to solve.

export type { Definition, Platform } from './llb/definition.ts'
export type { Mount, RunOptions } from './llb/exec.ts'
export type { FileActions } from './llb/file.ts'
export * as llb from './llb/index.ts'
export type { ExecState, State } from './llb/state.ts'
export type { LocalDir } from './session/local-dirs.ts'
export type { ImageConfig } from './solve/request.ts'
