import type { MessageInitShape } from '@bufbuild/protobuf'
import type { SolveRequestSchema } from '../gen/control_pb.ts'
import type { Platform } from '../llb/definition.ts'
import { type Definition, definitionMessage } from '../llb/index.ts'
import type { SolveStatus } from '../progress/status.ts'
import type { Attachable } from '../session/services.ts'
import type { Exporter } from './exporter.ts'

/** What to solve: a graph, or what a frontend such as `dockerfile.v0` makes of its attributes and inputs. */
export interface SolveRequest {
  readonly definition?: Definition | undefined
  readonly frontend?: string | undefined
  readonly frontendAttrs?: Readonly<Record<string, string>> | undefined
  readonly frontendInputs?: Readonly<Record<string, Definition>> | undefined
  /** Of the image that a definition becomes. @default one that starts nothing */
  readonly imageConfig?: ImageConfig | undefined
  /** @default none: the result stays in the engine's build cache */
  readonly exporter?: Exporter | undefined
  readonly cacheImports?: readonly CacheEntry[] | undefined
  readonly cacheExports?: readonly CacheEntry[] | undefined
  /** Rights that steps need, such as `network.host`. */
  readonly entitlements?: readonly string[] | undefined
  /** What this machine offers while the solve runs. */
  readonly attachables?: readonly Attachable[] | undefined
  /** Cancels the solve, and on the engine the steps that run for it. */
  readonly signal?: AbortSignal | undefined
  readonly onStatus?: ((status: SolveStatus) => void) | undefined
}

/** Where a build cache is: `{ type: 'registry', attrs: { ref: 'host/cache' } }`, `{ type: 'inline' }`. */
export interface CacheEntry {
  readonly type: string
  readonly attrs?: Readonly<Record<string, string>>
}

export interface SolveResult {
  /** What the exporter and the frontend say of the result, such as `containerimage.digest`. */
  readonly exporterResponse: Readonly<Record<string, string>>
}

export function solveMessage(
  request: SolveRequest,
  { ref, session }: { ref: string; session: string },
): MessageInitShape<typeof SolveRequestSchema> {
  const { definition, frontend = '', frontendAttrs = {}, frontendInputs = {}, exporter } = request
  if ((definition === undefined) === (frontend === ''))
    throw new TypeError('a solve needs either a definition or a frontend')
  // With an image's configuration the graph comes later: see configured.ts.
  const isServed = request.imageConfig !== undefined
  return {
    ref,
    session,
    ...(definition === undefined || isServed ? {} : { definition: definitionMessage(definition) }),
    frontend,
    frontendAttrs: { ...frontendAttrs },
    frontendInputs: mapValues(frontendInputs, definitionMessage),
    exporter: exporter?.type ?? '',
    exporterAttrs: { ...exporter?.attrs },
    cache: { imports: cacheMessages(request.cacheImports), exports: cacheMessages(request.cacheExports) },
    entitlements: [...(request.entitlements ?? [])],
  }
}

export function cacheMessages(entries: readonly CacheEntry[] = []) {
  return entries.map(({ type, attrs = {} }) => ({ type, attrs: { ...attrs } }))
}

function mapValues<V, W>(record: Readonly<Record<string, V>>, map: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, map(value)]))
}

/** What a container of an image starts with. */
export interface ImageConfig {
  readonly platform: Platform
  readonly entrypoint?: readonly string[]
  readonly cmd?: readonly string[]
  /** @default a PATH of the usual directories */
  readonly env?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  /** @default '/' */
  readonly workingDir?: string
  readonly user?: string
  /** Such as `2375` or `53/udp`. */
  readonly exposedPorts?: readonly string[]
  readonly volumes?: readonly string[]
  readonly stopSignal?: string
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** The configuration as OCI images have it, without the layers: the exporter adds those. */
export function ociImageConfig(config: ImageConfig): object {
  const { entrypoint, cmd, env = {}, labels, workingDir = '/', user, exposedPorts, volumes, stopSignal } = config
  return {
    ...config.platform,
    config: {
      Entrypoint: entrypoint,
      Cmd: cmd,
      Env: Object.entries({ PATH, ...env }).map(([name, value]) => `${name}=${value}`),
      Labels: labels,
      WorkingDir: workingDir,
      User: user,
      ExposedPorts:
        exposedPorts && emptyObjects(exposedPorts.map((port) => (port.includes('/') ? port : `${port}/tcp`))),
      Volumes: volumes && emptyObjects(volumes),
      StopSignal: stopSignal,
    },
    rootfs: { type: 'layers', diff_ids: [] },
  }
}

function emptyObjects(keys: readonly string[]): Record<string, object> {
  return Object.fromEntries(keys.map((key) => [key, {}]))
}
