import { join } from 'node:path'
import { EngineGoneError } from '../../buildkit/index.ts'
import {
  acquireMachineLock,
  clientProxies,
  connectEngine,
  type Engine,
  formatAddress,
  hasVolume,
  importImage,
  inspectDefaultBridge,
  inspectImage,
  type Leftover,
  labelsOfImages,
  listAbandoned,
  loadImages,
  newRun,
  prune,
  pullImage,
  pushImage,
  removeImage,
  removeVolume,
  resolveEngineAddress,
  saveImages,
  tagImage,
} from '../../engine/index.ts'
import type { Logger } from '../../log/index.ts'
import type { Settings } from '../../options/index.ts'
import type { Host, Images } from '../host.ts'
import { chosenBuilder, engineBuilder } from './builder.ts'
import { localMachine, remoteMachine } from './machine.ts'
import { runBox } from './run-box.ts'

export interface OpenHostOptions {
  readonly settings: Settings
  readonly log: Logger
  readonly signal?: AbortSignal | undefined
}

/**
 * The machine of the Docker engine that the environment names.
 * @throws EngineUnreachableError; EngineNotPermittedError; EngineTooOldError; EngineAddressInvalidError
 */
export async function openDockerHost({ settings, log, signal }: OpenHostOptions): Promise<Host> {
  return (await viewEngine({ settings, log, signal })).host
}

/** A host, and what of its engine only those want to know who ask whether it will do. */
export interface EngineView {
  readonly host: Host
  readonly engine: Omit<Engine, 'docker' | 'address'>
  /** As DOCKER_HOST would have it. */
  readonly address: string
  /** What named the address. */
  readonly source: string
  /** What runs left: the next start, or `prune`, removes it. */
  abandoned(): Promise<readonly Leftover[]>
  hasVolume(name: string): Promise<boolean>
}

/** @throws as `openDockerHost` */
export async function viewEngine({ settings, log, signal }: OpenHostOptions): Promise<EngineView> {
  const { address: named, source } = await resolveEngineAddress(settings.environment)
  const controlDirectory = join(settings.cacheDirectory, 'ssh')
  const address = named.kind === 'ssh' ? { ...named, controlDirectory } : named
  const engine = await connectEngine({ address, source, log, ...(signal && { signal }) })
  return {
    host: dockerHost(engine, settings),
    engine,
    address: formatAddress(address),
    source,
    abandoned: () => listAbandoned(engine),
    hasVolume: (name) => hasVolume(engine, name),
  }
}

/** The machine of an engine that is known to answer. */
export function dockerHost(engine: Engine, settings: Settings): Host {
  const run = newRun()
  const machine = engine.locality === 'local' ? localMachine(engine) : remoteMachine(engine)
  const place = formatAddress(engine.address)
  return {
    arch: engine.arch,
    cores: engine.cpuCount,
    images: tellWhenGone(dockerImages(engine)),
    builder: (options) => chosenBuilder(engine, settings, options),
    ownBuilder: (options) => engineBuilder(engine, options),
    ...tellWhenGone({
      identity: async () => [
        engine.arch.name,
        engine.id,
        engine.kernelVersion,
        await machine.boot(),
        await machine.kvm(),
      ],
      processor: async () => `${engine.kernelVersion} ${await machine.processor()}`,
      registryAccess: async () => {
        const { mirrors, insecure, proxies } = engine.registries
        const ofUser = await clientProxies(settings.dockerConfigDirectory)
        const from = ofUser === undefined ? 'the engine' : "docker's config.json"
        return { mirrors, insecure, proxies: { ...(ofUser ?? proxies), from } }
      },
      network: () => inspectDefaultBridge(engine),
      availableMib: machine.availableMib,
      lock: (name, options) => acquireMachineLock(`${place}/${name}`, options),
      run: (spec, options) => runBox({ engine, run, machine, ports: settings.ports }, spec, options),
      removeVolume: (name) => removeVolume(engine, name),
      prune: (options) => prune(engine, options),
    } satisfies Omit<Host, 'arch' | 'cores' | 'images' | 'builder' | 'ownBuilder'>),
  }
}

/** An engine may end at any moment, and what is asked of it then fails with what the system says of a socket: nothing for a user. */
function tellWhenGone<T extends object>(questions: T): T {
  const telling = Object.entries(questions).map(([name, ask]) => {
    const asked = async (...given: unknown[]) => {
      try {
        return await (ask as (...given: unknown[]) => Promise<unknown>)(...given)
      } catch (thrown) {
        throw isOfConnection(thrown) ? new EngineGoneError(thrown) : thrown
      }
    }
    return [name, asked]
  })
  return Object.fromEntries(telling) as T
}

/** A file that is not there, or another program's fault, has another system call; a connection that just ends has none. */
function isOfConnection(thrown: unknown): boolean {
  const { code, syscall } = thrown instanceof Error ? (thrown as NodeJS.ErrnoException) : {}
  return code === 'ECONNRESET' || ['connect', 'read', 'write', 'getaddrinfo'].includes(syscall ?? '')
}

function dockerImages(engine: Engine): Images {
  return {
    inspect: (ref) => inspectImage(engine, ref),
    labelsOfAll: (label) => labelsOfImages(engine, label),
    pull: (ref, options) => pullImage(engine, ref, options),
    push: (ref, options) => pushImage(engine, ref, options),
    tag: (ref, newRef) => tagImage(engine, ref, newRef),
    remove: (ref) => removeImage(engine, ref),
    load: (tar, options) => loadImages(engine, tar, options),
    save: (refs, options) => saveImages(engine, refs, options),
    import: (tar, options) => importImage(engine, tar, options),
  }
}
