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
  expect(after()).toMatchObject({ silent: true, awaiting: false })
})

test('a request awaits its answer, and so does one of which only a part has come', () => {
  expect(after(['client', request])).toMatchObject({ awaiting: true, method: 'POST' })
  expect(after(['client', 'GET /v1'])).toMatchObject({ awaiting: true })
  expect(after(['client', request], ['client', 'body'])).toMatchObject({ awaiting: true })
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
  expect(exchange).toMatchObject({ awaiting: true, method: 'HEAD' })
})

test.each([
  ['an upgrade', 'HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\n\r\n'],
  ['a raw stream', 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n'],
  ['a multiplexed stream', 'HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\r\n'],
])('%s belongs to the program for good, even if it gets a request to read', (_name, hijack) => {
  expect(after(['client', request], ['server', hijack], ['client', request]).awaiting).toBe(false)
})
