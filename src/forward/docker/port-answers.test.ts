import { buffer } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { tellMovedPorts } from './port-answers.ts'

const ports = {
  hasMoved: true,
  moved: (id: string) => new Map(id === 'web' ? [['8080/tcp', 55_012]] : []),
}
const inspected = JSON.stringify({
  Id: 'web',
  NetworkSettings: {
    Ports: {
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '81/tcp': [{ HostIp: '', HostPort: '8081' }],
      '80/udp': [{ HostIp: '', HostPort: '8080' }],
      '443/tcp': null,
    },
  },
})
const listed = JSON.stringify([
  {
    Id: 'web',
    Ports: [
      { PrivatePort: 80, PublicPort: 8080, Type: 'tcp' },
      { PrivatePort: 90, Type: 'tcp' },
    ],
  },
  { Id: 'other', Ports: [{ PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }] },
])

const head = (...lines: string[]) =>
  `${['HTTP/1.1 200 OK', 'Content-Type: application/json', ...lines].join('\r\n')}\r\n\r\n`
const whole = (body: string) => `${head(`Content-Length: ${Buffer.byteLength(body)}`)}${body}`
const inChunks = (body: string) =>
  `${head('Transfer-Encoding: chunked')}${body.replaceAll(/[\s\S]{1,50}/g, (piece) => `${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`)}0\r\n\r\n`

async function passed(answer: string, target: string, { pieceBytes = answer.length, method = 'GET' } = {}) {
  const telling = tellMovedPorts(() => ({ method, target, tty: false }), ports)
  const read = buffer(telling)
  for (let at = 0; at < answer.length; at += pieceBytes) telling.write(answer.slice(at, at + pieceBytes))
  telling.end()
  return String(await read)
}

test.each([
  ['with a length', whole, 1_000_000],
  ['in chunks', inChunks, 1_000_000],
  ['with a length, byte by byte', whole, 1],
  ['in chunks, byte by byte', inChunks, 1],
])('an answer %s tells where its ports are on this machine', async (_, written, pieceBytes) => {
  const answer = await passed(written(inspected), '/v1.45/containers/web/json', { pieceBytes })
  const [top = '', body = ''] = answer.split('\r\n\r\n')
  expect(top.split('\r\n')).toEqual([
    'HTTP/1.1 200 OK',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ])
  expect(JSON.parse(body).NetworkSettings.Ports).toEqual({
    '80/tcp': [
      { HostIp: '0.0.0.0', HostPort: '55012' },
      { HostIp: '::', HostPort: '55012' },
    ],
    '81/tcp': [{ HostIp: '', HostPort: '8081' }],
    '80/udp': [{ HostIp: '', HostPort: '8080' }],
    '443/tcp': null,
  })
})

test('so does a list of containers', async () => {
  const [, body = ''] = (await passed(inChunks(listed), '/containers/json?all=1')).split('\r\n\r\n')
  expect(JSON.parse(body).map(({ Ports }: { Ports: unknown }) => Ports)).toEqual([
    [
      { PrivatePort: 80, PublicPort: 55_012, Type: 'tcp' },
      { PrivatePort: 90, Type: 'tcp' },
    ],
    [{ PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }],
  ])
})

test.each([
  ['to something else', whole(inspected), '/containers/web/stats', 'GET'],
  ['to a question that only makes something', whole(inspected), '/containers/web/json', 'POST'],
  ['of another status', whole(inspected).replace('200 OK', '404 Not Found'), '/containers/web/json', 'GET'],
  ['of which the rest never comes', inChunks(inspected).slice(0, 200), '/containers/web/json', 'GET'],
  ['of which the head never ends', `HTTP/1.1 200 OK\r\n${'x'.repeat(20_000)}`, '/containers/web/json', 'GET'],
  ['that is no JSON', whole('nothing of the kind'), '/containers/web/json', 'GET'],
  ['that is another document', whole('null'), '/containers/web/json', 'GET'],
  ['in chunks that are none', `${head('Transfer-Encoding: chunked')}zz\r\n`, '/containers/web/json', 'GET'],
  ['that the end of the connection ends', `${head()}${inspected}`, '/containers/web/json', 'GET'],
])('an answer %s is passed on as it is', async (_, answer, target, method) => {
  expect(await passed(answer, target, { method, pieceBytes: 70 })).toBe(answer)
})

test('of one connection, each answer is what was asked last', async () => {
  let target = '/containers/web/json'
  const telling = tellMovedPorts(() => ({ method: 'GET', target, tty: false }), ports)
  const read = buffer(telling)
  for (const asked of ['/containers/web/json', '/_ping', '/containers/json']) {
    target = asked
    telling.write(whole(asked === '/containers/json' ? listed : inspected))
  }
  telling.end()
  expect(String(await read).match(/55012|8080/g)).toEqual([
    '55012',
    '55012',
    '8080',
    '8080',
    '8080',
    '8080',
    '55012',
    '8080',
  ])
})
