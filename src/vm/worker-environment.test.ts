import { expect, test } from 'vitest'
import { workerEnvironment } from './worker-environment.ts'

test('points docker clients and Testcontainers at the VM, and takes away what would point elsewhere', () => {
  expect(workerEnvironment({ dockerHost: 'unix:///run/a/docker.sock', address: '10.1.2.3', forwards: {} })).toEqual({
    DOCKER_HOST: 'unix:///run/a/docker.sock',
    TESTCONTAINERS_HOST_OVERRIDE: '10.1.2.3',
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: '/var/run/docker.sock',
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    DOCKER_TLS_VERIFY: undefined,
    DOCKER_CERT_PATH: undefined,
    DOCKER_CONTEXT: undefined,
  })
})

test('tells by name where forwards are, as variables may be called', () => {
  const environment = workerEnvironment({
    dockerHost: 'unix:///run/a/docker.sock',
    address: '10.1.2.3',
    forwards: {
      containerd: { name: 'containerd', kind: 'unix', path: '/run/a/x.sock', address: '/run/a/x.sock' },
      'my-db.v2': { name: 'my-db.v2', kind: 'tcp', host: '127.0.0.1', port: 4321, address: '127.0.0.1:4321' },
    },
  })
  expect(environment['TESTKERNELS_FORWARD_CONTAINERD']).toBe('/run/a/x.sock')
  expect(environment['TESTKERNELS_FORWARD_MY_DB_V2']).toBe('127.0.0.1:4321')
})
