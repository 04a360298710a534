import type { HasOutput } from './vertex.ts'

/** What a run sees at `target` beside its root. */
export type Mount = BindMount | CacheMount | SecretMount | TmpfsMount

export interface BindMount extends BindOptions {
  readonly type: 'bind'
  readonly target: string
  readonly source: HasOutput
}

export interface BindOptions {
  /** Writes to a `read-write` mount are a result of their own: `mountOutput(target)`. @default 'read-only' */
  readonly access?: 'read-only' | 'read-write'
  /** Directory or file of the source to mount. @default '/' */
  readonly selector?: string
}

export interface CacheMount extends CacheOptions {
  readonly type: 'cache'
  readonly target: string
}

export interface CacheOptions {
  /** Runs that name the same id share the directory, across solves. @default the target */
  readonly id?: string
  /** What two runs do that want it at once: both use it, each gets its own, or one waits. @default 'shared' */
  readonly sharing?: 'shared' | 'private' | 'locked'
  /** What the directory holds when it is new. @default nothing */
  readonly source?: HasOutput
}

export interface SecretMount extends SecretOptions {
  readonly type: 'secret'
  readonly target: string
}

export interface SecretOptions {
  /** The name that the session's `secrets` know it by. @default the target */
  readonly id?: string
  readonly uid?: number
  readonly gid?: number
  /** @default 0o400 */
  readonly mode?: number
  /** Run without the file when the session has no such secret. @default false */
  readonly optional?: boolean
}

export interface TmpfsMount {
  readonly type: 'tmpfs'
  readonly target: string
  readonly sizeBytes?: number
}

export function bind(target: string, source: HasOutput, options: BindOptions = {}): BindMount {
  return { type: 'bind', target, source, ...options }
}

/** Takes what the run leaves at `target`: see `mountOutput`. */
export function output(target: string): BindMount {
  return { type: 'bind', target, source: { output: undefined }, access: 'read-write' }
}

export function cache(target: string, options: CacheOptions = {}): CacheMount {
  return { type: 'cache', target, ...options }
}

export function secret(target: string, options: SecretOptions = {}): SecretMount {
  return { type: 'secret', target, ...options }
}

export function tmpfs(target: string, options: { readonly sizeBytes?: number } = {}): TmpfsMount {
  return { type: 'tmpfs', target, ...options }
}
