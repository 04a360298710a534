import { expect, test } from 'vitest'
import { parseCacheReference } from './cache-reference.ts'

const from = (text: string, environment = {}) =>
  parseCacheReference(text, { name: '--cache-from', direction: 'from', environment })
const to = (text: string) => parseCacheReference(text, { name: '--cache-to', direction: 'to', environment: {} })

test.each([
  ['registry.example.org:5000/a:b', { type: 'registry', attrs: { ref: 'registry.example.org:5000/a:b' } }],
  ['type=registry,ref=a/b', { type: 'registry', attrs: { ref: 'a/b' } }],
  ['Type=s3, bucket=x', { type: 's3', attrs: { bucket: 'x' } }],
  ['type=s3,"prefix=a,""b"""', { type: 's3', attrs: { prefix: 'a,"b"' } }],
])('%s is understood', (text, expected) => {
  expect(from(text)).toEqual(expected)
})

test('a cache may be written into the image itself', () => {
  expect(to('type=inline')).toEqual({ type: 'inline', attrs: {} })
})

test.each([
  ['', 'is no list'],
  ['"type=registry', 'is no list'],
  ['ref=a/b', 'names no type'],
  ['type=registry', 'names no ref'],
  ['type=registry,a/b', "has 'a/b' where KEY=VALUE is wanted"],
  ['type=inline', 'an inline cache is read from its image'],
  ['type=gha', 'ACTIONS_RUNTIME_TOKEN'],
  ['type=local,dest=/x', 'names no src'],
])('%j is refused', (text, problem) => {
  expect(() => from(text)).toThrow(problem)
})

test('a cache in a directory is read from src, and written to dest', () => {
  expect(from('type=local,src=/x')).toEqual({ type: 'local', attrs: { src: '/x' } })
  expect(to('type=local,dest=/x,mode=max')).toEqual({ type: 'local', attrs: { dest: '/x', mode: 'max' } })
  expect(() => to('type=local,src=/x')).toThrow('names no dest')
})

test("GitHub's own variables say where its cache is", () => {
  const environment = { ACTIONS_RUNTIME_TOKEN: 't', ACTIONS_RESULTS_URL: 'https://results.example.org/' }
  expect(from('type=gha,scope=kernels', environment)).toEqual({
    type: 'gha',
    attrs: { token: 't', url_v2: 'https://results.example.org/', scope: 'kernels' },
  })
})
