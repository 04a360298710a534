import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { buildkitdEndpoint } from './open.ts'

test.each([
  ['unix:///run/buildkit/buildkitd.sock', { socketPath: '/run/buildkit/buildkitd.sock' }],
  ['tcp://build.example:1234', { host: 'build.example', port: 1234 }],
  ['tcp://[::1]:1234', { host: '::1', port: 1234 }],
])('%s is understood', (address, expected) => {
  expect(buildkitdEndpoint(address)).toMatchObject({ kind: 'buildkitd', ...expected })
})

test('a container is reached through connections that its engine makes', () => {
  const dialContainer = async () => new PassThrough()
  expect(buildkitdEndpoint('docker-container://builder', { dialContainer })).toMatchObject({
    kind: 'buildkitd',
    name: 'docker-container://builder',
  })
})

test.each(['', 'buildkitd', 'unix://', 'tcp://host', 'ssh://host:22', 'docker-container://', '/run/buildkitd.sock'])(
  '%j is not',
  (address) => {
    expect(() => buildkitdEndpoint(address)).toThrow(expect.objectContaining({ code: 'BUILDKIT_UNREACHABLE' }))
  },
)
