import { timestampFromDate, timestampNow } from '@bufbuild/protobuf/wkt'
import { type Metadata, status } from '@grpc/grpc-js'
import {
  Content,
  WriteAction,
  type WriteContentRequest,
  type WriteContentRequestSchema,
  type WriteContentResponseSchema,
} from '../gen/content_pb.ts'
import { Blobs, type Ingest } from './blobs.ts'
import { messages, send } from './message-stream.ts'
import { type Attachable, type MessageStream, NotFound, Refusal } from './services.ts'

/** How BuildKit says which store of the session a call is for: session/content/attachable.go. */
const STORE_ID = 'buildkit-attachable-store-id'

/**
 * Serves directories to the engine as content stores, by id. An ingest lives as long as its stream: one that breaks off is begun
 * anew, so there is never one to ask the status of.
 */
export function contentStores(directories: ReadonlyMap<string, string>): Attachable {
  const stores = new Map([...directories].map(([id, directory]) => [id, new Blobs(directory)]))
  const storeOf = (metadata: Metadata): Blobs => {
    const id = String(metadata.get(STORE_ID)[0] ?? '')
    const store = stores.get(id)
    if (store === undefined) throw new NotFound(`no content store ${JSON.stringify(id)}`)
    return store
  }
  return {
    register: (services) => {
      services.unary(Content.method.info, async ({ digest }, metadata) => {
        const found = await storeOf(metadata).find(digest)
        if (found === undefined) throw new NotFound(`no content ${digest}`)
        const at = timestampFromDate(found.storedAt)
        return { info: { digest, size: BigInt(found.size), createdAt: at, updatedAt: at } }
      })
      services.serverStream(Content.method.read, ({ digest, offset, size }, metadata) =>
        storeOf(metadata).read(digest, { offset: Number(offset), size: Number(size) }),
      )
      services.duplex(Content.method.write, (stream, metadata) => takeBlob(stream, storeOf(metadata)))
      services.unary(Content.method.status, ({ ref }) => {
        throw new NotFound(`nothing is being written as ${ref}`)
      })
      services.unary(Content.method.listStatuses, () => ({}))
      services.unary(Content.method.abort, () => ({}))
    },
  }
}

type WriteStream = MessageStream<typeof WriteContentRequestSchema, typeof WriteContentResponseSchema>

async function takeBlob(stream: WriteStream, blobs: Blobs): Promise<void> {
  await using ingest = await blobs.ingest()
  const expected = { size: 0, digest: '' }
  for await (const request of messages(stream)) {
    if (request.total > 0) expected.size = Number(request.total)
    if (request.expected !== '') await expect(request.expected)
    const digest = await act(request)
    await send(stream, { ...stateOf(ingest, expected.size), action: request.action, digest })
    // A committed blob ends its stream.
    if (request.action === WriteAction.COMMIT) return
  }

  async function expect(digest: string): Promise<void> {
    expected.digest = digest
    if ((await blobs.find(digest)) !== undefined)
      throw new Refusal(status.ALREADY_EXISTS, `content ${digest} is there already`)
  }

  /** Resolves with the digest that it was committed as. */
  async function act({ action, data, offset }: WriteContentRequest): Promise<string> {
    if (action !== WriteAction.STAT && data.byteLength > 0) await ingest.write(data, Number(offset))
    return action === WriteAction.COMMIT ? blobs.commit(ingest, expected) : ''
  }
}

function stateOf({ offset, startedAt }: Ingest, total: number) {
  return {
    offset: BigInt(offset),
    total: BigInt(total),
    startedAt: timestampFromDate(startedAt),
    updatedAt: timestampNow(),
  }
}
