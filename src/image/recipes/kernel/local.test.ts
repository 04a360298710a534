import { expect, test } from 'vitest'
import { amd64 } from '../../../arch/amd64.ts'
import type { LocalKernel } from '../../../options/index.ts'
import { localKernel } from './local.ts'

test('a kernel for another architecture is refused, with both', async () => {
  const kernel: LocalKernel = { kind: 'local', arch: 'arm64', release: '6.1.0', vmlinuz: '/boot/vmlinuz' }
  await expect(localKernel(kernel, amd64)).rejects.toMatchObject({
    code: 'KERNEL_FOREIGN',
    message: expect.stringMatching(/the kernel \/boot\/vmlinuz is for arm64.* amd64/),
  })
})
