import { join } from 'node:path'
import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { baseImage } from '../support/env.ts'

const dockerfile = join(import.meta.dirname, '../../fixtures/rootfs-failing/Dockerfile')

test('a dockerd that does not start is the error at once, with its log', async () => {
  const rootfs = { dockerfile, buildArgs: { BASE: baseImage } }
  const starting = new KernelVm({ name: 'refusing', kernel: 'debian:bookworm', cgroup: 1, rootfs }).start()
  await expect(starting).rejects.toMatchObject({
    code: 'DOCKERD_FAILED',
    message: expect.stringMatching(/^refusing: .* ended with status 1 on debian:bookworm, cgroup v1/),
    output: "failed to start daemon: Devices cgroup isn't mounted",
  })
})
