import { expect, test } from 'vitest'
import { workerEnvironment } from './worker-environment.ts'

test('points docker clients and Testcontainers at the VM, and takes away what would point elsewhere', () => {
  expect(workerEnvironment({ dockerHost: 'unix:///run/a/docker.sock', address: '10.1.2.3' })).toEqual({
    DOCKER_HOST: 'unix:///run/a/docker.sock',
    TESTCONTAINERS_HOST_OVERRIDE: '10.1.2.3',
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: '/var/run/docker.sock',
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    DOCKER_TLS_VERIFY: undefined,
    DOCKER_CERT_PATH: undefined,
    DOCKER_CONTEXT: undefined,
  })
})
