import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Buildkit, TlsMaterial } from '../../buildkit/index.ts'
import { dialEngine, type Engine, type EngineAddress, execStream, formatAddress } from '../../engine/index.ts'
import { InvalidOptionError, type Settings } from '../../options/index.ts'
import type { Builder, BuilderOptions } from '../host.ts'

/** The BuildKit that is part of the engine. */
export function engineBuilder(engine: Engine, options: BuilderOptions): Builder {
  const { imageStore, version } = engine
  return {
    kind: 'engine',
    imageStore,
    name: `the Docker engine ${version}`,
    connect: () => connectEngineBuildkit(engine, options),
  }
}

/** The buildkitd that the environment names, else the BuildKit of the engine. */
export function chosenBuilder(engine: Engine, settings: Settings, options: BuilderOptions): Builder {
  const { buildkitHost } = settings
  if (buildkitHost === undefined) return engineBuilder(engine, options)
  return {
    kind: 'buildkitd',
    imageStore: engine.imageStore,
    name: 'with a buildkitd, testkernels',
    connect: () => connectBuildkitd(buildkitHost, { engine, settings }, options),
  }
}

async function connectEngineBuildkit({ address }: Engine, options: BuilderOptions): Promise<Buildkit> {
  const { connectBuildkit } = await import('../../buildkit/index.ts')
  return await connectBuildkit({ kind: 'docker', ...buildkitAddress(address) }, options)
}

function buildkitAddress(address: EngineAddress) {
  switch (address.kind) {
    case 'unix':
      return { socketPath: address.path }
    case 'tcp':
      return { host: address.host, port: address.port, ...(address.tls && { tls: address.tls }) }
    case 'ssh':
      return { name: formatAddress(address), dial: async () => dialEngine(address) }
  }
}

async function connectBuildkitd(
  address: string,
  { engine, settings }: { readonly engine: Engine; readonly settings: Settings },
  options: BuilderOptions,
): Promise<Buildkit> {
  const { buildkitdEndpoint, connectBuildkit } = await import('../../buildkit/index.ts')
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
