// A published port is there at the first try, always: many containers, one after another, each asked once. What is counted are the
// containers that answered.
import { once } from 'node:events'
import { connect } from 'node:net'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureTar } from '../../support/env.ts'
import { ask, dial, listening, startService } from '../../support/service.ts'

/** Fewer, to see that the test itself is right. */
const [DIRECT, FORWARDED] = [300, 100].map((all) => Number(process.env['TESTKERNELS_E2E_STARTS'] ?? all)) as [
  number,
  number,
]

/** A start, two questions and a removal take seconds under emulation. */
const TEST_TIMEOUT_MS = 2 * 60 * 60_000

interface Counts {
  /** Took a connection the moment docker said that it runs. */
  readonly open: number
  /** Answered to the first that was asked of its program when that listened. */
  readonly tcp: number
  readonly udp: number
}

/** Each publishes the port numbers of the one before it, over TCP and UDP. @returns how many were there at the first try */
async function firstTries(vm: StartedKernelVm, containers: number): Promise<Counts> {
  const answered = { open: 0, tcp: 0, udp: 0 }
  for (let at = 0; at < containers; at++) {
    const name = `service-${at}`
    await startService(vm, name, '--publish', '8088:80', '--publish', '8088:80/udp')
    if (await takesConnections(vm.address, 8088)) answered.open++
    await listening(vm, name, 1)
    if ((await dial(vm.address, 8088).catch(String)) === name) answered.tcp++
    if ((await ask(vm.address, 8088, 'hello').catch(String)) === `${name} hello`) answered.udp++
    await docker(vm, ['rm', '--force', name])
  }
  return answered
}

async function takesConnections(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port })
  return await once(socket, 'connect').then(
    () => {
      socket.destroy()
      return true
    },
    () => false,
  )
}

async function start(name: string): Promise<StartedKernelVm> {
  return await new KernelVm({ name, kernel: 'debian:bookworm', images: [fixtureTar] }).start()
}

test(`${DIRECT} containers at the address of their VM`, { timeout: TEST_TIMEOUT_MS }, async () => {
  await using vm = await start('direct')
  // At the container's own address nothing is between a client and its program, which may not listen yet.
  expect(await firstTries(vm, DIRECT)).toMatchObject({ tcp: DIRECT, udp: DIRECT })
})

test(`${FORWARDED} containers whose ports are forwarded`, { timeout: TEST_TIMEOUT_MS }, async () => {
  vi.stubEnv('TESTKERNELS_PORTS', 'forwarded')
  await using vm = await start('forwarded')
  vi.unstubAllEnvs()
  expect(vm.address).toMatch(/^127\./)
  expect(await firstTries(vm, FORWARDED)).toEqual({ open: FORWARDED, tcp: FORWARDED, udp: FORWARDED })
})
