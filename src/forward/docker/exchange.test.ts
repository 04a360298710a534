import { expect, test } from 'vitest'
import { Exchange } from './exchange.ts'

const request = 'POST /v1.41/images/load HTTP/1.1\r\nHost: docker\r\n\r\n'
const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}'

function after(...messages: ['client' | 'server', string][]): Exchange {
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
  expect(after(['client', request]).request).toEqual({ method: 'POST', target: '/v1.41/images/load' })
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
  expect(exchange.request).toEqual({ method: 'HEAD', target: '/_ping' })
})

test('an answer in chunks of JSON can be extended between two chunks only', () => {
  const head = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
  expect(after(['client', request], ['server', head]).extensible).toBe(true)
  expect(after(['client', request], ['server', head], ['server', '4\r\n{}\r\n\r\n']).extensible).toBe(true)
  expect(after(['client', request], ['server', head], ['server', '4\r\n{']).extensible).toBe(false)
  expect(after(['client', request], ['server', head], ['server', '2\r\n{}\r\n0\r\n\r\n']).extensible).toBe(false)
  expect(
    after(['client', request], ['server', head], ['server', '2\r\n{}\r\n'], ['server', '0\r\n\r\n']).extensible,
  ).toBe(false)
  expect(after(['client', request], ['server', answer], ['server', '\r\n']).extensible).toBe(false)
})

test.each([
  ['an upgrade', 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n'],
  ['a raw stream', 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n'],
  ['a multiplexed stream', 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n'],
])('%s belongs to the program for good, even if it gets a request to read', (_name, hijack) => {
  expect(after(['client', request], ['server', hijack], ['client', request]).awaiting).toBe(false)
})

test('an end is missed before the answer and in the middle of its chunks', () => {
  const chunked = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n'
  expect(after().unfinished).toBe(true)
  expect(after(['client', request]).unfinished).toBe(true)
  expect(after(['client', request], ['server', answer]).unfinished).toBe(false)
  expect(after(['client', request], ['server', chunked]).unfinished).toBe(true)
  expect(after(['client', request], ['server', chunked], ['server', '0\r\n'], ['server', '\r\n']).unfinished).toBe(
    false,
  )
  expect(after(['client', 'HEAD / HTTP/1.1\r\n\r\n'], ['server', chunked]).unfinished).toBe(false)
})
