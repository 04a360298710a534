import type { Client } from '@grpc/grpc-js'
import { Control, type UsageRecord as UsageRecordMessage } from './gen/control_pb.ts'
import { type CallOptions, callServerStream, callUnary, explainCallFailure } from './grpc.ts'
import type { Platform } from './llb/definition.ts'

/** One piece of the build cache. */
export interface UsageRecord {
  readonly id: string
  /** `regular`, `exec.cachemount`, `source.local`, … */
  readonly recordType: string
  readonly description: string
  readonly sizeBytes: number
  readonly isMutable: boolean
  readonly isInUse: boolean
  /** Also part of an image of the engine: removing it here frees nothing. */
  readonly isShared: boolean
  readonly parent: string | undefined
}

export interface UsageOptions extends CallOptions {
  /** Such as `id==X` or `type==exec.cachemount`; a record that matches one of them counts. @default all */
  readonly filters?: readonly string[]
}

export interface PruneOptions extends UsageOptions {
  /** Also what other records and images need. @default false */
  readonly all?: boolean
  /** Keeps what was used within that time, in milliseconds. @default 0 */
  readonly keepDurationMs?: number
  /** Keeps that much. @default 0 */
  readonly keepBytes?: number
}

/** A part of BuildKit that runs steps. */
export interface Worker {
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  readonly platforms: readonly Platform[]
}

export async function diskUsage(client: Client, { filters = [], signal }: UsageOptions = {}): Promise<UsageRecord[]> {
  return explained(client, signal, async () => {
    const { record } = await callUnary(client, Control.method.diskUsage, { filter: [...filters] }, { signal })
    return record.map(toRecord)
  })
}

export async function prune(client: Client, options: PruneOptions = {}): Promise<UsageRecord[]> {
  const { filters = [], all = false, keepDurationMs = 0, keepBytes = 0, signal } = options
  const request = {
    filter: [...filters],
    all,
    keepDuration: BigInt(keepDurationMs) * 1_000_000n,
    keepBytes: BigInt(keepBytes),
  }
  return explained(client, signal, async () => {
    const removed: UsageRecord[] = []
    for await (const record of callServerStream(client, Control.method.prune, request, { signal }))
      removed.push(toRecord(record))
    return removed
  })
}

export async function listWorkers(client: Client, { signal }: CallOptions = {}): Promise<Worker[]> {
  const { record } = await callUnary(client, Control.method.listWorkers, {}, { signal })
  return record.map(({ id, labels, platforms }) => ({
    id,
    labels,
    platforms: platforms.map(({ os, architecture, variant }) => ({
      os,
      architecture,
      ...(variant === '' ? {} : { variant }),
    })),
  }))
}

function toRecord(message: UsageRecordMessage): UsageRecord {
  const { id, recordType, description, size, mutable, inUse, shared, parent } = message
  return {
    id,
    recordType,
    description,
    sizeBytes: Number(size),
    isMutable: mutable,
    isInUse: inUse,
    isShared: shared,
    parent: parent === '' ? undefined : parent,
  }
}

async function explained<T>(client: Client, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    signal?.throwIfAborted()
    throw explainCallFailure(client, error) ?? error
  }
}
