import { once } from 'node:events'
import { KernelVm, type StartedKernelVm } from 'testkernels'
import { expect } from 'vitest'
import { fixtureTar } from '../../support/env.ts'

/** A boot with systemd takes an emulated guest longer than one without, and a busy machine several times that. */
export const BOOT_TIMEOUT_MS = 540_000
const DEATH_DEADLINE_MS = 120_000
export const poll = { timeout: 120_000, interval: 1_000 }
export const common = { kernel: 'debian:bookworm', init: 'systemd', images: [fixtureTar] } as const

export function entry(name: string, options: { readonly rootfs: string; readonly cgroup: 1 | 2 }): KernelVm {
  return new KernelVm({ ...common, name, ...options, bootTimeoutMs: BOOT_TIMEOUT_MS })
}

/** What a script that succeeds prints. */
export async function inGuest(vm: StartedKernelVm, script: string): Promise<string> {
  const { stdout, stderr, exitCode } = await vm.exec(['sh', '-euc', script])
  expect({ script, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({ script, exitCode: 0, stderr: '' })
  return stdout.trim()
}

export async function death(vm: StartedKernelVm): Promise<Error> {
  if (!vm.gone.aborted) await once(vm.gone, 'abort', { signal: AbortSignal.timeout(DEATH_DEADLINE_MS) })
  return vm.gone.reason
}
