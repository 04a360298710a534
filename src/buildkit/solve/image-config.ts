import * as llb from '../llb/index.ts'
import type { SolveRequest } from './request.ts'

/** What a container of an image starts with; what is left out stays as it is in the image. */
export interface ImageConfig {
  readonly entrypoint?: readonly string[]
  readonly cmd?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly workingDir?: string
  readonly user?: string
  /** Such as `2375` or `53/udp`. */
  readonly exposedPorts?: readonly string[]
  readonly volumes?: readonly string[]
  readonly stopSignal?: string
}

/**
 * What to solve for the image `ref` of the engine's store with another configuration. It sends no file, and adds no layer but for
 * a `workingDir` that is not there yet.
 *
 * A solve of its own, because the `moby` exporter of engines around 20.10 ignores the configuration that comes with a graph.
 */
export function withImageConfig(
  ref: string,
  config: ImageConfig,
): Pick<SolveRequest, 'frontend' | 'frontendAttrs' | 'frontendInputs'> {
  const dockerfile = llb
    .scratch()
    .file(llb.mkfile('/Dockerfile', configDockerfile(ref, config)), { name: `[internal] configuration for ${ref}` })
  return {
    frontend: 'dockerfile.v0',
    // The image was just made: a registry has nothing to say about it.
    frontendAttrs: { filename: 'Dockerfile', 'image-resolve-mode': 'local' },
    frontendInputs: { context: dockerfile.definition(), dockerfile: dockerfile.definition() },
  }
}

export function configDockerfile(ref: string, config: ImageConfig): string {
  const { entrypoint, cmd, env = {}, labels = {}, workingDir, user, exposedPorts = [], volumes, stopSignal } = config
  const lines = [`FROM ${ref}`]
  for (const [key, value] of Object.entries(env)) lines.push(`ENV ${quote(key)}=${quote(value)}`)
  for (const [key, value] of Object.entries(labels)) lines.push(`LABEL ${quote(key)}=${quote(value)}`)
  if (workingDir !== undefined) lines.push(`WORKDIR ${quote(workingDir)}`)
  if (user !== undefined) lines.push(`USER ${user}`)
  for (const port of exposedPorts) lines.push(`EXPOSE ${port}`)
  if (volumes !== undefined) lines.push(`VOLUME ${JSON.stringify(volumes)}`)
  if (stopSignal !== undefined) lines.push(`STOPSIGNAL ${stopSignal}`)
  // A new entrypoint resets the command, so it comes first.
  if (entrypoint !== undefined) lines.push(`ENTRYPOINT ${JSON.stringify(entrypoint)}`)
  if (cmd !== undefined) lines.push(`CMD ${JSON.stringify(cmd)}`)
  const broken = lines.find((line) => line.includes('\n'))
  if (broken !== undefined) throw new TypeError(`a line break cannot be part of an image's configuration: ${broken}`)
  return `${lines.join('\n')}\n`
}

/** A Dockerfile word that is taken as it stands: no variable in it is expanded. */
function quote(text: string): string {
  return `"${text.replaceAll(/["\\$]/g, '\\$&')}"`
}
