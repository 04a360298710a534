import { readFile } from 'node:fs/promises'
import type { Buildkit } from '../buildkit/index.ts'
import { connectEngine, type Engine, newOwnership, type Ownership, resolveEngineAddress } from '../engine/index.ts'
import type { Logger } from '../log/index.ts'
import type { Settings } from '../options/index.ts'
import { Admission } from './pool/admission.ts'

/** What all VMs of this process share: the engine they run on, and who owns them. */
export interface Host {
  readonly engine: Engine
  readonly settings: Settings
  readonly ownership: Ownership
  readonly admission: Admission
}

export interface OpenHostOptions {
  readonly settings: Settings
  readonly log: Logger
  readonly signal?: AbortSignal | undefined
}

/** @throws EngineUnreachableError; EngineNotPermittedError; EngineTooOldError; EngineAddressInvalidError */
export async function openHost({ settings, log, signal }: OpenHostOptions): Promise<Host> {
  const { address, source } = await resolveEngineAddress(settings.environment)
  const engine = await connectEngine({ address, source, log, ...(signal && { signal }) })
  const admission = new Admission({
    starts: Math.max(2, engine.cpuCount),
    availableMib: async () => (engine.locality === 'local' ? await availableMib() : undefined),
  })
  return { engine, settings, ownership: newOwnership(), admission }
}

/** What the kernel can give without swapping; undefined on systems that do not tell. */
async function availableMib(): Promise<number | undefined> {
  const meminfo = await readFile('/proc/meminfo', 'utf8').catch(() => '')
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(meminfo)?.[1]
  return kib === undefined ? undefined : Number(kib) / 1024
}

/** The BuildKit that is part of the host's engine. */
export async function buildkitOf({ engine }: Host, options: { signal: AbortSignal; log: Logger }): Promise<Buildkit> {
  const { connectBuildkit } = await import('../buildkit/index.ts')
  const { address } = engine
  const endpoint =
    address.kind === 'unix'
      ? ({ kind: 'docker', socketPath: address.path } as const)
      : ({ kind: 'docker', host: address.host, port: address.port, ...(address.tls && { tls: address.tls }) } as const)
  return await connectBuildkit(endpoint, options)
}
