// What a BuildKit sends, asks for and names: whatever it is, nothing outside of what it was given is read or written.
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Packet, PacketSchema, PacketType, StatSchema } from '../../src/buildkit/gen/fsutil_pb.ts'
import { Blobs } from '../../src/buildkit/session/blobs.ts'
import { receiveDirectory } from '../../src/buildkit/session/receive-directory.ts'
import { sendDirectory } from '../../src/buildkit/session/send-directory.ts'
import { fuzz } from './fuzz.ts'

let base: string
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'tk-fuzz-'))
  await mkdir(join(base, 'outside'))
  await writeFile(join(base, 'outside/victim'), 'mine')
})
afterEach(() => rm(base, { recursive: true }))

type Stream = Parameters<typeof receiveDirectory>[0]

/** The other side of a transfer, which has said all that it will. */
function streamOf(packets: readonly Packet[], sent: Packet[] = []): Stream {
  const iterator = async function* () {
    yield* packets
  }
  const write = (packet: Parameters<Stream['write']>[0]) => sent.push(create(PacketSchema, packet as Packet)) > 0
  return { iterator, write, on: () => {}, off: () => {}, cancelled: false, destroyed: false } as unknown as Stream
}

/** Each line is a packet, or none. */
function packetsIn(input: Buffer): Packet[] {
  const packets: Packet[] = []
  for (const line of input.toString('latin1').split('|')) {
    try {
      packets.push(fromBinary(PacketSchema, Buffer.from(line, 'latin1')))
    } catch {
      // gRPC ends the call for what is no message.
    }
  }
  return packets
}

const encoded = (packet: Parameters<typeof create<typeof PacketSchema>>[1]) =>
  Buffer.concat([toBinary(PacketSchema, create(PacketSchema, packet)), Buffer.from('|')])
const told = (path: string, mode: number, linkname = '') =>
  encoded({ type: PacketType.PACKET_STAT, stat: create(StatSchema, { path, mode, linkname }) })
const content = (id: number, data: string) => encoded({ type: PacketType.PACKET_DATA, id, data: Buffer.from(data) })

const DIRECTORY = 2 ** 31 + 0o755
const SYMLINK = 2 ** 27 + 0o777

async function outsideIsAsItWas(): Promise<void> {
  expect((await readdir(base)).filter((name) => name !== 'root')).toEqual(['outside'])
  expect(await readdir(join(base, 'outside'))).toEqual(['victim'])
  expect(await readFile(join(base, 'outside/victim'), 'utf8')).toBe('mine')
}

test('a directory that comes', async () => {
  const seeds = [
    told('a', DIRECTORY),
    told('a', SYMLINK, '../outside'),
    told('a/victim', 0o644),
    told('../outside/victim', 0o644),
    told('b', 0o644, 'a/victim'),
    content(0, 'theirs'),
    content(2, ''),
    Buffer.concat([
      told('a', DIRECTORY),
      told('a', SYMLINK, '../outside'),
      told('a/victim', 0o644),
      content(2, 'theirs'),
    ]),
    Buffer.concat([told('f', 0o4755), encoded({ type: PacketType.PACKET_STAT }), content(0, 'x'), content(0, '')]),
  ]
  const take = async (input: Buffer) => {
    await receiveDirectory(streamOf(packetsIn(input)), join(base, 'root')).catch(() => {})
    await outsideIsAsItWas()
    await rm(join(base, 'root'), { recursive: true })
  }
  expect(await fuzz({ name: 'directory that comes', seeds, take })).toBeGreaterThan(0)
})

test('a directory that is sent', async () => {
  const root = join(base, 'root')
  await mkdir(root)
  for (const name of ['one', 'two']) await writeFile(join(root, name), 'public')
  await symlink('../outside/victim', join(root, 'link'))
  const request = (id: number) => encoded({ type: PacketType.PACKET_REQ, id })
  const seeds = [
    request(0),
    request(1),
    request(2),
    request(2 ** 31),
    encoded({ type: PacketType.PACKET_FIN }),
    content(1, 'x'),
  ]
  const take = async (input: Buffer) => {
    const sent: Packet[] = []
    await sendDirectory(streamOf(packetsIn(input), sent), root, {}).catch(() => {})
    for (const { data } of sent) expect(Buffer.from(data).toString()).not.toContain('mine')
  }
  expect(await fuzz({ name: 'directory that is sent', seeds, take })).toBeGreaterThan(0)
})

test('the content store', async () => {
  const root = join(base, 'root')
  const digest = `sha256:${'0'.repeat(64)}`
  const seeds = [digest, 'sha256:../../outside/victim', 'sha512:00', `${digest}\n`, '']
  const take = async (input: Buffer) => {
    const blobs = new Blobs(root)
    const name = input.toString()
    const at = input.length > 0 ? input.readInt8(0) : 0
    await blobs.find(name).catch(() => {})
    const read = async () => {
      for await (const { data } of blobs.read(name, { offset: at, size: at * 7 }))
        expect(String(data)).not.toContain('mine')
    }
    await read().catch((thrown) => expect(thrown).toMatchObject({ code: expect.any(Number) }))
    await using ingest = await blobs.ingest()
    await ingest.write(input, at & 1).catch(() => {})
    await blobs.commit(ingest, { size: 0, digest: at > 0 ? name : '' }).catch(() => {})
    await outsideIsAsItWas()
  }
  expect(await fuzz({ name: 'content store', seeds, take })).toBeGreaterThan(0)
})
