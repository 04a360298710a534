import type { MessageInitShape } from '@bufbuild/protobuf'
import type { FileActionSchema } from '../gen/ops_pb.ts'
import {
  createVertex,
  type HasOutput,
  InputList,
  NONE,
  type Output,
  type Platform,
  type VertexMetadata,
} from './definition.ts'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

interface FileOptions {
  readonly mode?: number
  /** @default root, or for a copy that of the source */
  readonly owner?: Owner
  /** Modification time, for results that must be the same bit by bit. @default the time of the solve */
  readonly modifiedAt?: Date
}

export interface MkdirOptions extends FileOptions {
  /** Like `mkdir -p`. @default false */
  readonly makeParents?: boolean
}

export interface CopyOptions extends FileOptions {
  /** Copy what is in a directory instead of the directory. @default false */
  readonly contents?: boolean
  readonly createDestPath?: boolean
  readonly wildcard?: boolean
  /** Let a wildcard match nothing. @default false */
  readonly emptyWildcard?: boolean
  readonly followSymlink?: boolean
}

export interface RmOptions {
  readonly allowNotFound?: boolean
  readonly wildcard?: boolean
}

type ActionInit = NonNullable<MessageInitShape<typeof FileActionSchema>['action']>
type Step = { readonly action: ActionInit; readonly source?: HasOutput }

/** File operations to be done one after the other, as one vertex. Immutable: each method returns a longer chain. */
export class FileActions {
  readonly #steps: readonly Step[]

  constructor(steps: readonly Step[] = []) {
    this.#steps = steps
  }

  mkdir(path: string, { mode = 0o755, makeParents = false, ...rest }: MkdirOptions = {}): FileActions {
    return this.#with({ action: { case: 'mkdir', value: { path, mode, makeParents, ...common(rest) } } })
  }

  mkfile(path: string, content: string | Uint8Array, { mode = 0o644, ...rest }: FileOptions = {}): FileActions {
    const data = typeof content === 'string' ? new TextEncoder().encode(content) : content
    return this.#with({ action: { case: 'mkfile', value: { path, mode, data, ...common(rest) } } })
  }

  /** `source` is a state, `src` a path in it and `dest` a path in the state that is worked on. */
  copy(source: HasOutput, src: string, dest: string, options: CopyOptions = {}): FileActions {
    const { mode = -1, contents = false, createDestPath = false, wildcard = false, ...rest } = options
    const { emptyWildcard = false, followSymlink = false } = options
    const value = {
      src,
      dest,
      mode,
      followSymlink,
      dirCopyContents: contents,
      createDestPath,
      allowWildcard: wildcard,
      allowEmptyWildcard: emptyWildcard,
      ...common(rest),
    }
    return this.#with({ action: { case: 'copy', value }, source })
  }

  rm(path: string, { allowNotFound = false, wildcard = false }: RmOptions = {}): FileActions {
    return this.#with({ action: { case: 'rm', value: { path, allowNotFound, allowWildcard: wildcard } } })
  }

  /** The vertex that does all this to `base`. */
  apply(base: HasOutput, { platform, ...metadata }: VertexMetadata & { readonly platform: Platform }): Output {
    if (this.#steps.length === 0) throw new TypeError('a file op needs at least one action')
    const inputs = new InputList()
    const baseIndex = inputs.add(base)
    const secondary = this.#steps.map(({ source }) => (source === undefined ? NONE : inputs.add(source)))
    // Actions count on where inputs end: the result of action i has index inputs.length + i.
    const actions = this.#steps.map(({ action }, i) => ({
      input: i === 0 ? baseIndex : BigInt(inputs.outputs.length + i - 1),
      secondaryInput: secondary[i] ?? NONE,
      output: i === this.#steps.length - 1 ? 0n : NONE,
      action,
    }))
    const op = { case: 'file' as const, value: { actions } }
    return { vertex: createVertex({ op, inputs: inputs.outputs, platform, metadata }), index: 0 }
  }

  #with(step: Step): FileActions {
    return new FileActions([...this.#steps, step])
  }
}

/** -1 leaves the time to the engine. */
function common({ owner, modifiedAt }: FileOptions) {
  const timestamp = modifiedAt === undefined ? -1n : BigInt(modifiedAt.getTime()) * 1_000_000n
  if (owner === undefined) return { timestamp }
  const byId = (value: number) => ({ user: { case: 'byId', value } }) as const
  return { timestamp, owner: { user: byId(owner.uid), group: byId(owner.gid) } }
}

export function mkdir(...args: Parameters<FileActions['mkdir']>): FileActions {
  return new FileActions().mkdir(...args)
}

export function mkfile(...args: Parameters<FileActions['mkfile']>): FileActions {
  return new FileActions().mkfile(...args)
}

export function copy(...args: Parameters<FileActions['copy']>): FileActions {
  return new FileActions().copy(...args)
}

export function rm(...args: Parameters<FileActions['rm']>): FileActions {
  return new FileActions().rm(...args)
}
