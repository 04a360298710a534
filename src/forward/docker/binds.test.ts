import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createLogger } from '../../log/index.ts'
import { watchBinds } from './binds.ts'

let directory: string
let warnings: string[]
let connection: () => (piece: Buffer) => void

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tk-binds-'))
  writeFileSync(join(directory, 'ä.conf'), '')
  warnings = []
  const log = createLogger({ write: (line) => void warnings.push(line) })
  connection = watchBinds({ log, ownDirectories: [directory] })
})
afterEach(() => rmSync(directory, { recursive: true }))

function create(hostConfig: object, target = '/v1.41/containers/create?name=c'): Buffer {
  const body = JSON.stringify({ Image: 'i', HostConfig: hostConfig })
  const head = `POST ${target} HTTP/1.1\r\nHost: docker\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n`
  return Buffer.from(head + body)
}

test.each([
  ['a bind', () => ({ Binds: [`${directory}/ä.conf:/etc/a.conf:ro`] })],
  [
    'a mount',
    () => ({ Binds: null, Mounts: [{ Type: 'bind', Source: `${directory}/ä.conf`, Target: '/etc/a.conf' }] }),
  ],
])('%s of a path that this machine has is warned of once, however the request comes', (_, hostConfig) => {
  const request = create(hostConfig())
  const byBytes = connection()
  // Clients send the first line as a whole.
  const lineEnd = request.indexOf('\r\n') + 2
  byBytes(request.subarray(0, lineEnd))
  for (const byte of request.subarray(lineEnd)) byBytes(Buffer.from([byte]))
  const headFirst = connection()
  const bodyAt = request.indexOf('\r\n\r\n') + 4
  headFirst(request.subarray(0, bodyAt))
  headFirst(request.subarray(bodyAt, bodyAt + 5))
  headFirst(request.subarray(bodyAt + 5))
  connection()(request)
  expect(warnings).toEqual([expect.stringContaining(`has ${directory}/ä.conf mounted as the guest has it`)])
})

test('a connection is listened to from one request to the next', () => {
  const pieces = connection()
  pieces(create({}))
  pieces(Buffer.from('GET /_ping HTTP/1.1\r\n\r\n'))
  pieces(create({ Binds: [`${directory}/ä.conf:/a`] }, '/containers/create'))
  expect(warnings).toHaveLength(1)
})

test.each([
  ['that this machine does not have', () => ({ Binds: [`${directory}/none:/a`] })],
  [
    'outside of its own directories',
    () => ({ Binds: ['/var/run/docker.sock:/var/run/docker.sock', '/:/host:ro,rslave'] }),
  ],
  ['beside its own directories', () => ({ Binds: [`${directory}/..:/a`] })],
  ['that is a volume', () => ({ Binds: ['data:/a'], Mounts: [{ Type: 'volume', Source: directory }] })],
])('a path %s is not', (_, hostConfig) => {
  connection()(create(hostConfig()))
  expect(warnings).toEqual([])
})

test('what is no description of a container is none of its business', () => {
  connection()(create({ Binds: [`${directory}/ä.conf:/a`] }, '/containers/prune'))
  connection()(Buffer.from('POST /containers/create HTTP/1.1\r\nContent-Length: 3\r\n\r\n{"H'))
  connection()(Buffer.from('POST /containers/create HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n'))
  expect(warnings).toEqual([])
})
