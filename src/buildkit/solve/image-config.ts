import type { Platform } from '../llb/definition.ts'

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
