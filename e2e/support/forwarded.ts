import { KernelVm, type StartedKernelVm } from 'testkernels'
import { afterAll, beforeAll, vi } from 'vitest'
import { fixtureTar } from './env.ts'

/** All VMs of a file's tests have their ports forwarded. @param take is given the one that they share, before them */
export function startForwarded(take: (vm: StartedKernelVm) => void): void {
  beforeAll(async () => {
    vi.stubEnv('TESTKERNELS_PORTS', 'forwarded')
    const vm = await new KernelVm({ name: 'forwarded', kernel: 'debian:bookworm', images: [fixtureTar] }).start()
    take(vm)
    return () => vm.stop()
  })
  afterAll(() => {
    vi.unstubAllEnvs()
  })
}
