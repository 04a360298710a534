import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Buildkit, TlsMaterial } from '../buildkit/index.ts'
import { execStream } from '../engine/index.ts'
import type { Builder } from '../image/index.ts'
import type { Logger } from '../log/index.ts'
import { InvalidOptionError, type Settings } from '../options/index.ts'
import { buildkitOf, type Host } from './host.ts'

interface ConnectOptions {
  readonly signal: AbortSignal
  readonly log: Logger
}

/** What builds images: the buildkitd that the environment names, else the BuildKit of the engine. */
export function builderOf(host: Host, options: ConnectOptions): Builder {
  const { buildkitHost } = host.settings
  return buildkitHost === undefined
    ? { kind: 'engine', connect: () => buildkitOf(host, options) }
    : { kind: 'buildkitd', connect: () => connectBuildkitd(buildkitHost, host, options) }
}

async function connectBuildkitd(
  address: string,
  { engine, settings }: Host,
  options: ConnectOptions,
): Promise<Buildkit> {
  const { buildkitdEndpoint, connectBuildkit } = await import('../buildkit/index.ts')
  const endpoint = buildkitdEndpoint(address, {
    tls: await readTls(settings),
    // As buildctl has it: the container's own client connects to wherever its server listens.
    dialContainer: (container) => execStream(engine, container, ['buildctl', 'dial-stdio']),
  })
  return await connectBuildkit(endpoint, options)
}

/** A file that is not there is one that the server does not ask for. */
async function readTls({ buildkitTlsDirectory: directory }: Settings): Promise<TlsMaterial | undefined> {
  if (directory === undefined) return undefined
  const read = (name: string) => readFile(join(directory, name), 'utf8').catch(() => undefined)
  const [ca, cert, key] = await Promise.all(['ca.pem', 'cert.pem', 'key.pem'].map(read))
  if (ca === undefined && cert === undefined) {
    throw new InvalidOptionError({
      what: `TESTKERNELS_BUILDKIT_TLS_DIR has neither ca.pem nor cert.pem that can be read: ${directory}`,
      remedy: 'name the directory with ca.pem, cert.pem and key.pem for the buildkitd, or unset it',
    })
  }
  return { ca, cert, key }
}
