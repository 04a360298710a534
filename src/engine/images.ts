import { once } from 'node:events'
import type { Readable } from 'node:stream'
import type { Engine, EngineClient } from './connect.ts'
import { ImageMissingError, ImageTransferError } from './errors.ts'
import { type EngineMessage, readMessages, requestJson, statusOf } from './request.ts'

/** What the engine's store knows of an image. */
export interface StoredImage {
  /** `sha256:…` */
  readonly id: string
  readonly labels: Readonly<Record<string, string>>
  readonly sizeBytes: number
}

export interface TransferOptions {
  readonly signal?: AbortSignal
}

export interface ImportOptions extends TransferOptions {
  /** `REPOSITORY:TAG` of the new image. */
  readonly ref: string
  readonly labels?: Readonly<Record<string, string>>
  /** Dockerfile instructions for the image's configuration, such as `CMD ["bash"]`. */
  readonly changes?: readonly string[]
}

/** `undefined` when the store has no such image. */
export async function inspectImage(engine: EngineClient, ref: string): Promise<StoredImage | undefined> {
  try {
    const { Id, Config, Size } = await requestJson<InspectedImage>(engine.address, { path: imagePath(ref, 'json') })
    return { id: Id, labels: Config?.Labels ?? {}, sizeBytes: Size }
  } catch (error) {
    if (statusOf(error) === 404) return undefined
    throw error
  }
}

interface InspectedImage {
  readonly Id: string
  readonly Size: number
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null } | null
}

/** What a name may have (slashes, colons, `@`) is part of the path; nothing else in it may be. */
export function imagePath(ref: string, of?: 'json' | 'tag'): string {
  const path = `/images/${encodeURIComponent(ref).replaceAll(/%(2F|3A|40)/g, decodeURIComponent)}`
  return of === undefined ? path : `${path}/${of}`
}

export async function hasImage(engine: EngineClient, ref: string): Promise<boolean> {
  return (await inspectImage(engine, ref)) !== undefined
}

export async function imageId(engine: EngineClient, ref: string): Promise<string | undefined> {
  return (await inspectImage(engine, ref))?.id
}

/** @throws ImageMissingError */
export async function tagImage(engine: EngineClient, ref: string, newRef: string): Promise<void> {
  const { repository, tag } = splitRef(newRef)
  try {
    await requestJson(engine.address, {
      method: 'POST',
      path: imagePath(ref, 'tag'),
      query: { repo: repository, tag },
    })
  } catch (cause) {
    if (statusOf(cause) !== 404) throw cause
    throw new ImageMissingError({
      what: `the engine has no image ${ref} to tag as ${newRef}`,
      remedy: 'pull, load or build it first',
      cause,
    })
  }
}

/** Removes this name, and the image with its last name. One that a container uses stays. */
export async function removeImage(engine: EngineClient, ref: string): Promise<'removed' | 'absent' | 'in use'> {
  try {
    await requestJson(engine.address, { method: 'DELETE', path: imagePath(ref) })
    return 'removed'
  } catch (error) {
    if (statusOf(error) === 404) return 'absent'
    if (statusOf(error) === 409) return 'in use'
    throw error
  }
}

/** Loads what `docker save` wrote, and gives the names (or, without one, the ids) that it held. */
export async function loadImages(
  engine: EngineClient,
  tar: Readable,
  { signal }: TransferOptions = {},
): Promise<readonly string[]> {
  const loaded: string[] = []
  const send = () => engine.docker.loadImage(tar, { quiet: true, ...abortedBy(signal) })
  await transfer({ what: 'the engine did not load the images', send, tar, signal }, ({ stream }) => {
    const [, name] = /^Loaded image(?: ID)?: (\S+)/.exec(stream ?? '') ?? []
    if (name !== undefined) loaded.push(name)
  })
  return loaded
}

/** Makes an image of one layer from the tar of a root file system, and gives its id. If `tar` fails, so does the import. */
export async function importImage(engine: EngineClient, tar: Readable, options: ImportOptions): Promise<string> {
  const { ref, labels = {}, changes = [], signal } = options
  const { repository, tag } = splitRef(ref)
  const labelling = Object.entries(labels).map(([name, value]) => `LABEL ${name}=${quote(value)}`)
  let id: string | undefined
  const query = { repo: repository, tag, changes: [...labelling, ...changes], ...abortedBy(signal) }
  const send = () => engine.docker.importImage(tar, query) as Promise<NodeJS.ReadableStream>
  await transfer({ what: `the engine did not import ${ref}`, send, tar, signal }, ({ status }) => {
    if (status?.startsWith('sha256:')) id = status
  })
  return id ?? (await imageId(engine, ref)) ?? ref
}

/** The images as one tar stream, for `docker load`. */
export async function saveImages(
  engine: EngineClient,
  refs: readonly string[],
  { signal }: TransferOptions = {},
): Promise<Readable> {
  const answer = new Promise<Readable>((resolve, reject) => {
    engine.docker.modem.dial(
      {
        // docker-modem takes the last character of a path that has a query for a bare `?` and cuts it off.
        path: `/images/get?${refs.map((ref) => `names=${encodeURIComponent(ref)}&`).join('')}`,
        method: 'GET',
        isStream: true,
        ...abortedBy(signal),
        statusCodes: { 200: true, 404: 'no such image', 500: 'server error' },
      },
      (error, stream) => (error ? reject(error) : resolve(stream as Readable)),
    )
  })
  try {
    return await answer
  } catch (cause) {
    signal?.throwIfAborted()
    throw new ImageTransferError({
      what: `the engine did not save ${refs.join(', ')}`,
      remedy: 'see whether `docker image ls` shows them all',
      cause,
    })
  }
}

/** `REPOSITORY[:TAG]`; the colon of a registry's port is not a tag's. */
export function splitRef(ref: string): { repository: string; tag: string } {
  const [, repository = ref, tag = 'latest'] = /^(.*?)(?::([^:/@]+))?$/.exec(ref) ?? []
  return { repository, tag }
}

interface Transfer {
  readonly what: string
  readonly send: () => Promise<NodeJS.ReadableStream>
  readonly tar: Readable
  readonly signal: AbortSignal | undefined
}

async function transfer(
  { what, send, tar, signal }: Transfer,
  onMessage: (message: EngineMessage) => void,
): Promise<void> {
  let failed: unknown
  const noteFailure = (error: unknown) => {
    failed ??= error
  }
  tar.on('error', noteFailure)
  try {
    // A request's head goes with its first bytes, and an engine gives up a connection without one after five minutes: some tars take longer.
    if (tar.readableLength === 0 && tar.readable) await once(tar, 'readable', signal && { signal })
    for await (const message of readMessages((await send()) as Readable)) onMessage(message)
  } catch (cause) {
    signal?.throwIfAborted()
    throw new ImageTransferError({
      what,
      remedy: 'see the cause; `docker info` tells whether the engine is well',
      cause: failed ?? cause,
    })
  } finally {
    tar.off('error', noteFailure)
  }
}

function abortedBy(signal: AbortSignal | undefined): { abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal }
}

/** A word of a Dockerfile instruction, where a dollar would be a variable. */
function quote(value: string): string {
  return JSON.stringify(value).replaceAll('$', '\\$')
}

/** The labels of all images of the engine's store that have this one, given as `NAME=VALUE`. */
export async function labelsOfImages(
  { address }: Engine,
  label: string,
): Promise<readonly Readonly<Record<string, string>>[]> {
  const query = { filters: JSON.stringify({ label: [label] }) }
  const images = await requestJson<readonly ListedImage[]>(address, { path: '/images/json', query })
  // The engine answers null for no label.
  return images.map(({ Labels }) => Labels ?? {})
}

interface ListedImage {
  readonly Labels: Readonly<Record<string, string>> | null
}
