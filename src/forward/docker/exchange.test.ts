import { expect, test } from 'vitest'
import { Exchange } from './exchange.ts'

const request = 'POST /v1.41/images/load HTTP/1.1\r\nHost: docker\r\n\r\n'
const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}'

function after(...messages: (readonly ['client' | 'server', string])[]): Exchange {
  const exchange = new Exchange()
  for (const [side, bytes] of messages)
    if (side === 'client') exchange.fromClient(Buffer.from(bytes))
    else exchange.fromServer(Buffer.from(bytes))
  return exchange
}

test('is silent until the client has sent something', () => {
  expect(after().silent).toBe(true)
  expect(after().awaiting).toBe(false)
  expect(after(['client', 'G']).silent).toBe(false)
})

test('a request awaits its answer, and so does one of which only a part has come', () => {
  expect(after(['client', request]).awaiting).toBe(true)
  expect(after(['client', request]).request).toEqual({ method: 'POST', target: '/v1.41/images/load', tty: false })
  expect(after(['client', 'GET /v1']).awaiting).toBe(true)
  expect(after(['client', request], ['client', 'body']).awaiting).toBe(true)
})

test('an answer that has begun is awaited no more, though the body of the request goes on', () => {
  expect(after(['client', request], ['server', answer]).awaiting).toBe(false)
  expect(after(['client', request], ['server', answer], ['client', 'more body']).awaiting).toBe(false)
})

test('an interim answer is no answer', () => {
  expect(after(['client', request], ['server', 'HTTP/1.1 100 Continue\r\n\r\n']).awaiting).toBe(true)
})

test('the next request on the same connection awaits again', () => {
  const exchange = after(['client', request], ['server', answer], ['client', 'HEAD /_ping HTTP/1.1\r\n\r\n'])
  expect(exchange.awaiting).toBe(true)
  expect(exchange.request).toEqual({ method: 'HEAD', target: '/_ping', tty: false })
})

const chunked = (type: string) =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/${type}\r\nTransfer-Encoding: chunked\r\n\r\n`

test.each(['json', 'vnd.docker.multiplexed-stream'])(
  'an answer in chunks of %s can be extended between two chunks only',
  (type) => {
    const extensible = (...pieces: string[]) =>
      after(['client', request], ['server', chunked(type)], ...pieces.map((piece) => ['server', piece] as const))
        .extensible
    expect(extensible()).toBe('chunk')
    expect(extensible('4\r\n{}\r\n\r\n')).toBe('chunk')
    expect(extensible('4\r\n{')).toBeUndefined()
    expect(extensible('2\r\n{}\r\n0\r\n\r\n')).toBeUndefined()
    expect(extensible('2\r\n{}\r\n', '0\r\n\r\n')).toBeUndefined()
    expect(after(['client', request], ['server', answer], ['server', '\r\n']).extensible).toBeUndefined()
  },
)

test('a connection that carries frames can be extended between two frames only', () => {
  const head = 'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n'
  const frames = '\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x00\x01\0\0\0\0\0\0\x03you'
  const between = [0, 10, 18, 29]
  for (let at = 0; at <= frames.length; at++) {
    const expected = between.includes(at) ? 'bytes' : undefined
    const whole = after(['client', request], ['server', head + frames.slice(0, at)])
    expect(whole.extensible, `${at} bytes behind the head`).toBe(expected)
    // dockerd writes the first line, and then one header after the other.
    const [line = '', ...headers] = head.split(/(?<=\r\n)/)
    const bytes = [line, ...headers, ...frames.slice(0, at)].map((piece) => ['server', piece] as const)
    expect(after(['client', request], ...bytes).extensible, `${at} bytes one by one`).toBe(expected)
  }
})

test('before 1.42, what a command without a terminal prints is in frames', () => {
  const extensible = (target: string, body: string) =>
    after(
      ['client', `POST ${target} HTTP/1.1\r\n\r\n${body}`],
      ['server', 'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n'],
    ).extensible
  expect(extensible('/v1.41/exec/c0ffee/start', '{"Detach":false,"Tty":false}')).toBe('bytes')
  expect(extensible('/v1.41/exec/c0ffee/start', '{"Detach":false,"Tty":true}')).toBeUndefined()
  expect(extensible('/v1.41/containers/c0ffee/attach', '')).toBeUndefined()
})

test.each([
  ['an upgrade', 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n'],
  ['a raw stream', 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n'],
  ['a multiplexed stream', 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n'],
])('%s belongs to the program for good, even if it gets a request to read', (_name, hijack) => {
  expect(after(['client', request], ['server', hijack], ['client', request]).awaiting).toBe(false)
})

test('an end is missed before the answer and in the middle of its chunks', () => {
  const head = chunked('json')
  expect(after().unfinished).toBe(true)
  expect(after(['client', request]).unfinished).toBe(true)
  expect(after(['client', request], ['server', answer]).unfinished).toBe(false)
  expect(after(['client', request], ['server', head]).unfinished).toBe(true)
  expect(after(['client', request], ['server', head], ['server', '0\r\n'], ['server', '\r\n']).unfinished).toBe(false)
  expect(after(['client', 'HEAD / HTTP/1.1\r\n\r\n'], ['server', head]).unfinished).toBe(false)
})
