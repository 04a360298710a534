import type { MessageInitShape } from '@bufbuild/protobuf'
import { CacheSharingOpt, type MountSchema, MountType, NetMode } from '../gen/ops_pb.ts'
import { createVertex, type HasOutput, InputList, NONE, type Output, type Platform } from './definition.ts'

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

/** What runs on a state inherit. */
export interface ExecMeta {
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly cwd?: string | undefined
  readonly user?: string | undefined
  /** Words in front of each command. */
  readonly prefix?: readonly string[] | undefined
  /** `host` needs the entitlement `network.host` of the solve. @default 'sandbox' */
  readonly network?: Network | undefined
  readonly platform: Platform
}

export type Network = 'sandbox' | 'host' | 'none'

export interface RunOptions extends Omit<ExecMeta, 'platform' | 'prefix'>, Command {
  readonly mounts?: readonly Mount[] | undefined
  readonly extraHosts?: readonly { readonly host: string; readonly ip: string }[] | undefined
  readonly hostname?: string | undefined
  /** What people see instead of the command. */
  readonly name?: string | undefined
  /** Run it even when its result is cached; BuildKit empties its cache mounts first. @default false */
  readonly ignoreCache?: boolean | undefined
}

export interface Command {
  /** The program and its arguments. Give either this or `script`. */
  readonly args?: readonly string[] | undefined
  /** A script for `/bin/sh -ec`, which ends at the first command that fails. */
  readonly script?: string | undefined
}

export interface ExecResult {
  readonly root: Output
  /** By target, of each bind mount that is read-write. */
  readonly mounts: ReadonlyMap<string, Output>
}

type MountInit = MessageInitShape<typeof MountSchema>

const netMode = { sandbox: NetMode.UNSET, host: NetMode.HOST, none: NetMode.NONE } as const
const sharingOpt = {
  shared: CacheSharingOpt.SHARED,
  private: CacheSharingOpt.PRIVATE,
  locked: CacheSharingOpt.LOCKED,
} as const

/** The vertex of a run on `root`. */
export function exec(root: HasOutput, meta: ExecMeta, options: RunOptions): ExecResult {
  const inputs = new InputList()
  // The root must be the first input.
  const rootMount: MountInit = { input: inputs.add(root), dest: '/', output: 0n }
  const outputs = new Map<string, number>()
  const mounts = (options.mounts ?? []).map((mount) => {
    const writable = mount.type === 'bind' && mount.access === 'read-write'
    if (writable) outputs.set(mount.target, outputs.size + 1)
    return mountInit(mount, inputs, outputs.get(mount.target))
  })
  const user = options.user ?? meta.user
  const vertex = createVertex({
    op: {
      case: 'exec',
      value: {
        meta: {
          args: [...(meta.prefix ?? []), ...argsOf(options)],
          env: Object.entries({ ...meta.env, ...options.env })
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, value]) => `${name}=${value}`),
          cwd: options.cwd ?? meta.cwd ?? '/',
          ...(user === undefined ? {} : { user }),
          extraHosts: (options.extraHosts ?? []).map(({ host, ip }) => ({ host, ip })),
          ...(options.hostname === undefined ? {} : { hostname: options.hostname }),
        },
        mounts: [rootMount, ...mounts],
        network: netMode[options.network ?? meta.network ?? 'sandbox'],
      },
    },
    inputs: inputs.outputs,
    platform: meta.platform,
    metadata: { name: options.name, ignoreCache: options.ignoreCache },
  })
  return {
    root: { vertex, index: 0 },
    mounts: new Map([...outputs].map(([target, index]) => [target, { vertex, index }])),
  }
}

function argsOf({ args, script }: Command): string[] {
  if (args !== undefined && script === undefined && args.length > 0) return [...args]
  if (script !== undefined && args === undefined) return ['/bin/sh', '-ec', script]
  throw new TypeError('a run needs either args or a script')
}

function mountInit(mount: Mount, inputs: InputList, output: number | undefined): MountInit {
  const base = { input: NONE, output: NONE, dest: mount.target }
  switch (mount.type) {
    case 'bind':
      return {
        ...base,
        input: inputs.add(mount.source),
        output: output === undefined ? NONE : BigInt(output),
        readonly: mount.access !== 'read-write',
        ...(mount.selector === undefined ? {} : { selector: mount.selector }),
      }
    case 'cache':
      return {
        ...base,
        input: mount.source === undefined ? NONE : inputs.add(mount.source),
        mountType: MountType.CACHE,
        cacheOpt: { id: mount.id ?? mount.target, sharing: sharingOpt[mount.sharing ?? 'shared'] },
      }
    case 'secret': {
      const { id = mount.target, uid = 0, gid = 0, mode = 0o400, optional = false } = mount
      return { ...base, mountType: MountType.SECRET, secretOpt: { id, uid, gid, mode, optional } }
    }
    case 'tmpfs':
      return {
        ...base,
        mountType: MountType.TMPFS,
        ...(mount.sizeBytes === undefined ? {} : { tmpfsOpt: { size: BigInt(mount.sizeBytes) } }),
      }
  }
}
