import { randomBytes } from 'node:crypto'
import type { Client } from '@grpc/grpc-js'
import { LLBBridge } from '../gen/gateway_pb.ts'
import type { Attachable } from '../session/services.ts'
import { openSession } from '../session/session.ts'
import { solveAsFrontend } from './as-frontend.ts'

export interface RemoteImageRequest {
  readonly ref: string
  /** Such as credentials for the registry. */
  readonly attachables?: readonly Attachable[] | undefined
  readonly signal?: AbortSignal | undefined
}

/** What a registry says of an image that is not pulled for it. */
export interface RemoteImage {
  /** `sha256:…` of its manifest. */
  readonly digest: string
  readonly labels: Readonly<Record<string, string>>
}

/** @returns undefined when there is no such image, or no such registry */
export async function remoteImage(client: Client, request: RemoteImageRequest): Promise<RemoteImage | undefined> {
  const { ref: name, attachables = [], signal } = request
  signal?.throwIfAborted()
  await using session = await openSession(client, attachables)
  const ref = randomBytes(16).toString('hex')
  let image: RemoteImage | undefined
  try {
    await solveAsFrontend(client, {
      ref,
      message: { ref, session: session.id },
      signal,
      serve: async (ask) => {
        // Not what the engine may have under that name: it can be of another time.
        const resolved = await ask(LLBBridge.method.resolveImageConfig, { ref: name, resolveMode: 'pull' })
        image = { digest: resolved.digest, labels: labelsIn(resolved.config) }
        return {}
      },
    })
  } catch {
    signal?.throwIfAborted()
  }
  return image
}

function labelsIn(config: Uint8Array): Record<string, string> {
  const parsed = JSON.parse(Buffer.from(config).toString()) as { config?: { Labels?: Record<string, string> | null } }
  return parsed.config?.Labels ?? {}
}
