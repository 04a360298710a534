// A published port is there at the first try, always: many containers, one after another, each asked once. What is counted are the
// containers that answered.
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect, test, vi } from 'vitest'
import { docker } from '../../support/docker.ts'
import { fixtureTar } from '../../support/env.ts'
import { ask, dial, runService } from '../../support/service.ts'

/** Fewer, to see that the test itself is right. */
const [DIRECT, FORWARDED] = [300, 100].map((all) => Number(process.env['TESTKERNELS_E2E_STARTS'] ?? all)) as [
  number,
  number,
]

/** A start, two questions and a removal take seconds under emulation. */
const TEST_TIMEOUT_MS = 2 * 60 * 60_000

/** Each publishes the port numbers of the one before it, over TCP and UDP. @returns how many answered over each */
async function firstTries(vm: StartedKernelVm, containers: number): Promise<{ tcp: number; udp: number }> {
  const answered = { tcp: 0, udp: 0 }
  for (let at = 0; at < containers; at++) {
    const name = `service-${at}`
    await runService(vm, name, '--publish', '8088:80', '--publish', '8088:80/udp')
    if ((await dial(vm.address, 8088).catch(String)) === name) answered.tcp++
    if ((await ask(vm.address, 8088, 'hello').catch(String)) === `${name} hello`) answered.udp++
    await docker(vm, ['rm', '--force', name])
  }
  return answered
}

async function start(name: string): Promise<StartedKernelVm> {
  return await new KernelVm({ name, kernel: 'debian:bookworm', images: [fixtureTar] }).start()
}

test(`${DIRECT} containers at the address of their VM`, { timeout: TEST_TIMEOUT_MS }, async () => {
  await using vm = await start('direct')
  expect(await firstTries(vm, DIRECT)).toEqual({ tcp: DIRECT, udp: DIRECT })
})

test(`${FORWARDED} containers whose ports are forwarded`, { timeout: TEST_TIMEOUT_MS }, async () => {
  vi.stubEnv('TESTKERNELS_PORTS', 'forwarded')
  await using vm = await start('forwarded')
  vi.unstubAllEnvs()
  expect(vm.address).toMatch(/^127\./)
  expect(await firstTries(vm, FORWARDED)).toEqual({ tcp: FORWARDED, udp: FORWARDED })
})
