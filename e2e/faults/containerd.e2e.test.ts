import { KernelVm } from 'testkernels'
import { expect, test } from 'vitest'
import { createLogger } from '../../src/log/index.ts'

const RESTART_DEADLINE_MS = 60_000

test('dockerd uses a containerd that was up before it, and that comes back when it ends', async () => {
  const warnings: string[] = []
  const log = createLogger({ write: (line) => void warnings.push(line) })
  await using vm = await new KernelVm({ name: 'contained', kernel: 'debian:bookworm' }).start({ log })
  const pid = async () => (await vm.exec(['pidof', 'containerd'])).stdout.trim()
  const parents = await vm.exec(['sh', '-c', 'grep PPid /proc/$(pidof containerd)/status'])
  expect(parents.stdout).toMatch(/^PPid:\s+1$/m)

  const former = await pid()
  expect(await vm.exec(['sh', '-c', `kill -KILL ${former}`])).toMatchObject({ exitCode: 0, stderr: '' })
  await expect.poll(async () => [former, ''].includes(await pid()), { timeout: RESTART_DEADLINE_MS }).toBe(false)
  await expect
    .poll(() => warnings, { timeout: RESTART_DEADLINE_MS })
    .toContainEqual(expect.stringContaining('containerd ended; it is started again'))
  expect(await vm.exec(['pidof', 'dockerd'])).toMatchObject({ exitCode: 0 })
})
