import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { Client, credentials, Metadata, Server, ServerCredentials, status } from '@grpc/grpc-js'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Content, WriteAction, type WriteContentRequestSchema } from '../gen/content_pb.ts'
import { bindMethod } from '../grpc.ts'
import { contentStores } from './content-stores.ts'
import { SessionServices } from './services.ts'

const { STAT, WRITE, COMMIT } = WriteAction
/** More than one message can take, so that reads come in parts. */
const content = Buffer.from('0123456789abcdef'.repeat(40_000))
const digest = digestOf(content)

let directory: string
let server: Server
let client: Client
let services: SessionServices
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'testkernels-content-'))
  server = new Server()
  services = new SessionServices(server)
  contentStores(new Map([['local:cache', directory]])).register(services)
  const port = await new Promise<number>((resolve, reject) => {
    const insecure = ServerCredentials.createInsecure()
    server.bindAsync('127.0.0.1:0', insecure, (error, bound) => (error === null ? resolve(bound) : reject(error)))
  })
  client = new Client(`127.0.0.1:${port}`, credentials.createInsecure())
})
afterEach(async () => {
  expect(services.failures).toEqual([])
  client.close()
  server.forceShutdown()
  await rm(directory, { recursive: true })
})

function digestOf(data: Uint8Array): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`
}

function metadata(store = 'local:cache'): Metadata {
  const metadata = new Metadata()
  metadata.set('buildkit-attachable-store-id', store)
  return metadata
}

/** Sends all at once and resolves with the answers. */
function write(...requests: MessageInitShape<typeof WriteContentRequestSchema>[]) {
  const { path, requestSerialize, responseDeserialize } = bindMethod(Content.method.write)
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata())
  for (const request of requests) call.write(request)
  call.end()
  return collect(call)
}

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of stream) all.push(one)
  return all
}

async function read(range: { offset?: bigint; size?: bigint } = {}, of = digest) {
  const { path, requestSerialize, responseDeserialize } = bindMethod(Content.method.read)
  const request = { digest: of, ...range }
  const parts = await collect(
    client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, metadata()),
  )
  return { parts: parts.length, data: Buffer.concat(parts.map(({ data }) => data)) }
}

function info(of: string, store?: string) {
  const { path, requestSerialize, responseDeserialize } = bindMethod(Content.method.info)
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { digest: of },
      metadata(store),
      (error, response) => (error === null ? resolve(response) : reject(error)),
    )
  })
}

const files = async () => ({
  blobs: await readdir(join(directory, 'blobs/sha256')),
  ingest: await readdir(join(directory, 'ingest')),
})

test('a blob that comes in pieces has its name when it is whole, and is read in any part', async () => {
  const answers = await write(
    { action: STAT, ref: 'layer', total: BigInt(content.length), expected: digest },
    { action: WRITE, data: content.subarray(0, 1000) },
    { action: WRITE, data: content.subarray(1000), offset: 1000n },
    { action: COMMIT, offset: BigInt(content.length) },
  )
  expect(answers).toMatchObject([
    { action: STAT, offset: 0n, total: BigInt(content.length) },
    { action: WRITE, offset: 1000n },
    { action: WRITE, offset: BigInt(content.length) },
    { action: COMMIT, offset: BigInt(content.length), digest },
  ])
  expect(await files()).toEqual({ blobs: [digest.slice('sha256:'.length)], ingest: [] })
  expect(await info(digest)).toMatchObject({ info: { digest, size: BigInt(content.length) } })
  const whole = await read()
  expect(whole.parts).toBeGreaterThan(1)
  expect(whole.data.equals(content)).toBe(true)
  expect((await read({ offset: 16n, size: 4n })).data.toString()).toBe('0123')
  expect((await read({ offset: BigInt(content.length - 3) })).data.toString()).toBe('def')
})

test('a blob comes in one message as well, and may start again', async () => {
  await write(
    { action: WRITE, ref: 'config', data: Buffer.from('a first try, longer than the second') },
    { action: COMMIT, data: Buffer.from('{}') },
  )
  const { blobs } = await files()
  expect(blobs).toEqual([digestOf(Buffer.from('{}')).slice('sha256:'.length)])
  expect(await readFile(join(directory, 'blobs/sha256', blobs[0] ?? ''), 'utf8')).toBe('{}')
})

test.each([
  ['another digest', { expected: digest }, status.FAILED_PRECONDITION],
  ['another size', { total: 3n }, status.FAILED_PRECONDITION],
  ['a gap', { offset: 5n }, status.OUT_OF_RANGE],
])('what comes with %s is refused, and nothing is left of it', async (_what, wrong, code) => {
  await expect(write({ action: COMMIT, ref: 'x', data: Buffer.from('{}'), ...wrong })).rejects.toMatchObject({ code })
  expect(await files()).toEqual({ blobs: [], ingest: [] })
})

test('a blob that breaks off leaves nothing', async () => {
  await write({ action: WRITE, ref: 'x', data: content })
  expect(await files()).toEqual({ blobs: [], ingest: [] })
})

test('a blob that is there is not taken again', async () => {
  await write({ action: COMMIT, ref: 'x', data: content })
  await expect(write({ action: STAT, ref: 'y', expected: digest })).rejects.toMatchObject({
    code: status.ALREADY_EXISTS,
  })
})

test('what is not there is said to be not there', async () => {
  await expect(info(digest)).rejects.toMatchObject({ code: status.NOT_FOUND })
  await expect(read()).rejects.toMatchObject({ code: status.NOT_FOUND })
  await expect(info(digest, 'local:/etc')).rejects.toMatchObject({ code: status.NOT_FOUND })
})

test('no digest leads out of the store', async () => {
  await mkdir(join(directory, 'blobs/sha256'), { recursive: true })
  await writeFile(join(directory, 'secret'), 'sesame')
  await expect(read({}, 'sha256:../../secret')).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  await expect(
    write({ action: COMMIT, ref: 'x', data: Buffer.from('{}'), expected: 'sha256:../../secret' }),
  ).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
})
