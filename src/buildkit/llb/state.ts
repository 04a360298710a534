import { type Definition, marshal } from './definition.ts'
import { type ExecMeta, type ExecResult, exec, type Network, type RunOptions } from './exec.ts'
import type { FileActions } from './file.ts'
import type { HasOutput, Output, VertexMetadata } from './vertex.ts'

/** A file system that is yet to be made, and what runs on it inherit. Immutable: every method returns another state. */
export class State implements HasOutput {
  /** The vertex result this file system is; undefined for the empty one. */
  readonly output: Output | undefined
  readonly #meta: ExecMeta

  protected constructor(output: Output | undefined, meta: ExecMeta) {
    this.output = output
    this.#meta = meta
  }

  static of(output: Output | undefined, meta: ExecMeta): State {
    return new State(output, meta)
  }

  /** Adds to the environment of runs. */
  env(variables: Readonly<Record<string, string>>): State {
    return this.#inherit({ env: { ...this.#meta.env, ...variables } })
  }

  /** Sets the working directory of runs. */
  dir(path: string): State {
    return this.#inherit({ cwd: path })
  }

  user(user: string): State {
    return this.#inherit({ user })
  }

  /** Puts words in front of the commands of runs, such as `nice`. */
  prefix(words: readonly string[]): State {
    return this.#inherit({ prefix: words })
  }

  network(network: Network): State {
    return this.#inherit({ network })
  }

  /** Runs a command here. The result is the root file system afterwards. */
  run(options: RunOptions): ExecState {
    return new ExecState(exec(this, this.#meta, options), this.#meta)
  }

  /** Does file operations without running anything: no shell is needed, and no root file system. */
  file(actions: FileActions, metadata: VertexMetadata = {}): State {
    return new State(actions.apply(this, { ...metadata, platform: this.#meta.platform }), this.#meta)
  }

  /** The graph that makes this file system, ready to be solved. */
  definition(): Definition {
    return marshal(this.output)
  }

  #inherit(meta: Partial<ExecMeta>): State {
    return new State(this.output, { ...this.#meta, ...meta })
  }
}

/** The root file system after a run. */
export class ExecState extends State {
  readonly #meta: ExecMeta
  readonly #mounts: ReadonlyMap<string, Output>

  constructor({ root, mounts }: ExecResult, meta: ExecMeta) {
    super(root, meta)
    this.#meta = meta
    this.#mounts = mounts
  }

  /** What the run left in its read-write bind mount at `target`. */
  mountOutput(target: string): State {
    const output = this.#mounts.get(target)
    if (output === undefined) throw new TypeError(`the run has no read-write bind mount at ${target}`)
    return State.of(output, this.#meta)
  }
}
