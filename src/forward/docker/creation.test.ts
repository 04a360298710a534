import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ask, startTestGuest } from '../testing/guest.ts'
import { type CreationCheck, checkCreation, isAbsentIn } from './creation.ts'
import { forwardDocker } from './docker-forward.ts'

let directory: string
/** What the guest was asked for. */
let asked: string[]
let absent: (path: string) => boolean
let connection: () => CreationCheck

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tk-binds-'))
  writeFileSync(join(directory, 'ä.conf'), '')
  asked = []
  absent = () => true
  const isAbsent = async (path: string) => {
    asked.push(path)
    return absent(path)
  }
  connection = checkCreation({ isAbsent, reservedPorts: [61022] })
})
afterEach(() => rmSync(directory, { recursive: true }))

function create(hostConfig: object, target = '/v1.41/containers/create?name=c'): Buffer {
  const body = JSON.stringify({ Image: 'i', HostConfig: hostConfig })
  const head = `POST ${target} HTTP/1.1\r\nHost: docker\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.from(head + body)
}

/** Passes pieces on until one must wait. */
function firstHeld(check: CreationCheck, pieces: readonly Buffer[]): { at: number; until: Promise<void> } | undefined {
  for (const [at, piece] of pieces.entries()) {
    const until = check(piece)
    if (until !== undefined) return { at, until }
  }
  return undefined
}

const refusal = () => ({
  code: 'BIND_NOT_MOUNTED',
  message: expect.stringContaining(`mounts: [{ host: '${directory}/ä.conf', guest: '${directory}/ä.conf' }]`),
})

test.each([
  ['a bind', () => ({ Binds: [`${directory}/ä.conf:/etc/a.conf:ro`] })],
  [
    'a mount',
    () => ({ Binds: null, Mounts: [{ Type: 'bind', Source: `${directory}/ä.conf`, Target: '/etc/a.conf' }] }),
  ],
])('%s of a path that only this machine has is refused, however the request comes', async (_, hostConfig) => {
  const request = create(hostConfig())
  // Clients send the first line as a whole.
  const lineEnd = request.indexOf('\r\n') + 2
  const bytes = [request.subarray(0, lineEnd), ...[...request.subarray(lineEnd)].map((byte) => Buffer.from([byte]))]
  const bodyAt = request.indexOf('\r\n\r\n') + 4
  const headFirst = [request.subarray(0, bodyAt), request.subarray(bodyAt, bodyAt + 5), request.subarray(bodyAt + 5)]
  for (const pieces of [bytes, headFirst, [request]]) {
    const held = firstHeld(connection(), pieces)
    // The last of them: before that, nobody knows what it is to be.
    expect(held?.at).toBe(pieces.length - 1)
    await expect(held?.until).rejects.toMatchObject(refusal())
  }
})

test('a path that the guest has as well is passed on when it was asked', async () => {
  absent = () => false
  await connection()(create({ Binds: [`${directory}/ä.conf:/a`] }))
  expect(asked).toEqual([`${directory}/ä.conf`])
})

test('a connection is listened to from one request to the next', async () => {
  const check = connection()
  expect(check(create({}))).toBeUndefined()
  expect(check(Buffer.from('GET /_ping HTTP/1.1\r\n\r\n'))).toBeUndefined()
  await expect(check(create({ Binds: [`${directory}/ä.conf:/a`] }, '/containers/create'))).rejects.toMatchObject(
    refusal(),
  )
})

test.each([
  ['that this machine does not have', () => ({ Binds: [`${directory}/none:/a`] })],
  ['that is a volume', () => ({ Binds: ['data:/a'], Mounts: [{ Type: 'volume', Source: directory }] })],
])('a path %s is passed on', (_, hostConfig) => {
  expect(connection()(create(hostConfig()))).toBeUndefined()
  expect(asked).toEqual([])
})

test.each([
  ['for all addresses', { '80/tcp': [{ HostPort: '8080' }, { HostIp: '', HostPort: '61022' }] }],
  ['for one address, and without a protocol', { '80': [{ HostIp: '127.0.0.1', HostPort: '61022' }] }],
])('a port of ours that is published %s is refused by name', async (_, PortBindings) => {
  await expect(connection()(create({ PortBindings }))).rejects.toMatchObject({
    code: 'PORT_RESERVED',
    message: expect.stringContaining('port 61022, by which testkernels comes into the virtual machine'),
  })
})

test.each([
  ['of UDP', { '80/udp': [{ HostPort: '61022' }] }],
  ['that dockerd is to choose', { '80/tcp': [{ HostPort: '' }], '81/tcp': null }],
  ['of the container', { '61022/tcp': [{ HostPort: '80' }] }],
])('a port %s is none of ours', (_, PortBindings) => {
  expect(connection()(create({ PortBindings }))).toBeUndefined()
})

test('what is no description of a container is none of its business', () => {
  const strange = [
    create({ Binds: [`${directory}/ä.conf:/a`] }, '/containers/prune'),
    Buffer.from('POST /containers/create HTTP/1.1\r\nContent-Length: 3\r\n\r\n{"H'),
    Buffer.from('POST /containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'),
  ]
  for (const piece of strange) expect(connection()(piece)).toBeUndefined()
})

/** A dockerd as far as it tells whether a mount's source is there. */
function dockerd(has: (path: string) => boolean): { server: Server; made: string[] } {
  const made: string[] = []
  const server = createServer(async (request, response) => {
    const { HostConfig, Image } = JSON.parse(await text(request))
    const source = HostConfig.Mounts?.[0]?.Source
    const said = (status: number, message: string) => response.writeHead(status).end(JSON.stringify({ message }))
    if (source !== undefined && !has(source))
      said(400, `invalid mount config for type "bind": bind source path does not exist: ${source}`)
    else if (source !== undefined) said(404, `No such image: ${Image}`)
    else {
      made.push(Image)
      said(201, 'made')
    }
  })
  return { server, made }
}

test.each([
  ['has not', 500, false],
  ['has', 201, true],
] as const)('a client whose bind the guest %s reads %i', async (_, status, has) => {
  const { server, made } = dockerd(() => has)
  await using guest = await startTestGuest((socket) => server.emit('connection', socket))
  const { streams, remotePath } = guest
  await using forwarded = await forwardDocker({ streams, remotePath, localPath: join(guest.directory, 'docker.sock') })
  const body = JSON.stringify({ Image: 'i', HostConfig: { Binds: [`${directory}/ä.conf:/a`] } })
  const answer = await ask(forwarded.path, { method: 'POST', path: '/v1.41/containers/create', body })
  expect(answer.status).toBe(status)
  expect(answer.body.includes('mounts: [')).toBe(!has)
  expect(made).toEqual(has ? ['i'] : [])
})

test('a guest that answers the question without end is not listened to for long', async () => {
  const server = createServer((_, response) => {
    const more = () => {
      while (response.write('x'.repeat(16_384)));
    }
    response.on('drain', more)
    more()
  })
  await using guest = await startTestGuest((socket) => server.emit('connection', socket))
  const destination = { kind: 'unix', path: guest.remotePath } as const
  await expect(isAbsentIn(guest.streams, destination, '/a')).rejects.toThrow('more than 65536 bytes')
})
