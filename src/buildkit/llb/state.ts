import {
  createVertex,
  type Definition,
  type HasOutput,
  marshal,
  type Output,
  type Platform,
  type VertexMetadata,
} from './definition.ts'
import { type ExecMeta, type ExecResult, exec, type Network, type RunOptions } from './exec.ts'
import type { FileActions } from './file.ts'

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

export interface ImageOptions {
  /** Of the image that is taken, and of what runs on it. */
  readonly platform: Platform
  readonly name?: string
  /** Where the engine looks first. @default 'default', on an engine its own store and then the registry */
  readonly resolveMode?: 'default' | 'local' | 'pull'
}

/** The file system of an image. `ref` may be short, as for `docker pull`. */
export function image(ref: string, { platform, name, resolveMode = 'default' }: ImageOptions): State {
  return source(`docker-image://${normalizeRef(ref)}`, {
    platform,
    name,
    attrs: resolveMode === 'default' ? {} : { 'image.resolvemode': resolveMode },
  })
}

/** The empty file system. The platform is that of what runs on what it becomes. */
export function scratch(platform: Platform): State {
  return State.of(undefined, { platform })
}

export interface LocalOptions {
  readonly platform: Platform
  readonly name?: string
  /** Tells apart directories of one name that different programs send, where that is not plain from their paths. */
  readonly sharedKeyHint?: string
}

/** A directory of this machine, which the session's `localDirs` must offer under `dirName`. */
export function local(dirName: string, { platform, name, sharedKeyHint = dirName }: LocalOptions): State {
  return source(`local://${dirName}`, { platform, name, attrs: { 'local.sharedkeyhint': sharedKeyHint } })
}

export interface HttpOptions {
  readonly platform: Platform
  /** `sha256:…` of the content; the solve fails when it differs. */
  readonly checksum?: string
  /** Name of the file in the resulting file system. @default the last part of the URL's path */
  readonly filename?: string
  /** @default 0o600 */
  readonly mode?: number
  readonly name?: string
}

/** A file system with one downloaded file. */
export function http(url: string, { platform, checksum, filename, mode, name }: HttpOptions): State {
  const attrs: Record<string, string> = {}
  if (checksum !== undefined) attrs['http.checksum'] = checksum
  if (filename !== undefined) attrs['http.filename'] = filename
  if (mode !== undefined) attrs['http.perm'] = `0${mode.toString(8)}`
  return source(url, { platform, name, attrs })
}

interface SourceOptions {
  readonly attrs: Record<string, string>
  readonly platform: Platform
  readonly name?: string | undefined
}

function source(identifier: string, { attrs, platform, name }: SourceOptions): State {
  const sorted = Object.fromEntries(Object.entries(attrs).sort(([a], [b]) => (a < b ? -1 : 1)))
  const vertex = createVertex({
    op: { case: 'source', value: { identifier, attrs: sorted } },
    platform,
    metadata: { name },
  })
  return State.of({ vertex, index: 0 }, { platform })
}

/** `debian` -> `docker.io/library/debian:latest`, as the engine's own store spells it. */
export function normalizeRef(ref: string): string {
  const slash = ref.indexOf('/')
  const first = slash < 0 ? '' : ref.slice(0, slash)
  const hasRegistry = first.includes('.') || first.includes(':') || first === 'localhost'
  const path = hasRegistry ? ref : `docker.io/${slash < 0 ? 'library/' : ''}${ref}`
  const tail = path.slice(path.lastIndexOf('/'))
  return tail.includes(':') || tail.includes('@') ? path : `${path}:latest`
}
