import { expect, test } from 'vitest'
import { workerEnvironment } from './worker-environment.ts'

test('points docker clients and Testcontainers at the VM, and takes away what would point elsewhere', () => {
  expect(
    workerEnvironment({ dockerHost: 'unix:///run/a/docker.sock', published: { kind: 'direct', address: '10.1.2.3' } }),
  ).toEqual({
    DOCKER_HOST: 'unix:///run/a/docker.sock',
    TESTCONTAINERS_HOST_OVERRIDE: '10.1.2.3',
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: '/var/run/docker.sock',
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    DOCKER_TLS_VERIFY: undefined,
    DOCKER_CERT_PATH: undefined,
    DOCKER_CONTEXT: undefined,
  })
})

test('says nothing of an address that there is not, also where one is set', () => {
  const environment = workerEnvironment({ dockerHost: 'unix:///run/a/docker.sock', published: { kind: 'forwarded' } })
  expect(Object.entries(environment)).toContainEqual(['TESTCONTAINERS_HOST_OVERRIDE', undefined])
})
