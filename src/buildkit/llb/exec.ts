import type { MessageInitShape } from '@bufbuild/protobuf'
import { CacheSharingOpt, type MountSchema, MountType, NetMode } from '../gen/ops_pb.ts'
import { InputList, NONE } from './inputs.ts'
import type { Mount } from './mount.ts'
import type { Platform } from './platform.ts'
import { createVertex, type HasOutput, type Output } from './vertex.ts'

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
