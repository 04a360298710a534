// What only a real kernel shows. Runs once for each entry, with nothing imported from testkernels.
import { execFile } from 'node:child_process'
import { release } from 'node:os'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { beforeAll, expect, test } from 'vitest'
import { fixtureImage } from '../support/env.ts'
import { reportsIn } from '../support/kernel-log.ts'

const run = promisify(execFile)
const docker = new Docker()
let cgroupVersion: string
let kernelVersion: string

beforeAll(async () => {
  const info = await docker.info()
  cgroupVersion = info.CgroupVersion
  kernelVersion = info.KernelVersion
})

async function inContainer(options: string[], ...command: string[]): Promise<string> {
  const { stdout } = await run('docker', ['run', '--rm', ...options, fixtureImage, ...command])
  return stdout.trim()
}

test('the memory limit of a container is in the file of its cgroup version', async () => {
  const file = cgroupVersion === '1' ? 'memory/memory.limit_in_bytes' : 'memory.max'
  expect(await inContainer(['--memory', '64m'], 'cat', `/sys/fs/cgroup/${file}`)).toBe('67108864')
})

test("a container's kernel is the entry's, not that of this machine", async () => {
  const seen = await inContainer([], 'uname', '-r')
  expect(seen).toBe(kernelVersion)
  expect(seen).toMatch(cgroupVersion === '1' ? /^6\.1\./ : /^6\.12\./)
  expect(seen).not.toBe(release())
})

test('a process over the memory limit is killed, and the container says so', async () => {
  const container = await docker.createContainer({
    Image: fixtureImage,
    Cmd: ['tail', '/dev/zero'],
    HostConfig: { Memory: 64 * 2 ** 20, MemorySwap: 64 * 2 ** 20 },
  })
  try {
    await container.start()
    const { StatusCode } = await container.wait()
    const { State } = await container.inspect()
    expect({ StatusCode, oomKilled: State.OOMKilled }).toEqual({ StatusCode: 137, oomKilled: true })
  } finally {
    await container.remove({ force: true })
  }
})

test('a limit of processes holds', async () => {
  const file = cgroupVersion === '1' ? 'pids/pids.max' : 'pids.max'
  expect(await inContainer(['--pids-limit', '33'], 'cat', `/sys/fs/cgroup/${file}`)).toBe('33')
})

test.each([
  // With udev's modes; the driver comes when the node is opened.
  ['/dev/net/tun', '666'],
  ['/dev/fuse', '666'],
  ['/dev/loop-control', '660'],
])('a container can be given %s, as on a machine where udev runs', async (device, mode) => {
  const open = ['sh', '-c', `stat -c %a ${device} && exec 3<>${device} && echo open`]
  expect(await inContainer(['--device', device], ...open)).toBe(`${mode}\nopen`)
})

test('the guest has the files of its kernel, and modules load late', async () => {
  // A container with the guest's own root: what runs there is the rootfs's user space.
  const guest = ['--privileged', '--pid=host', '--volume', '/:/guest']
  expect(
    await inContainer(guest, 'chroot', '/guest', 'sh', '-c', `head -c 100 /boot/config-${kernelVersion}`),
  ).toContain('Linux/x86')
  await inContainer(guest, 'chroot', '/guest', 'modprobe', 'dummy')
  expect(await inContainer(guest, 'chroot', '/guest', 'cat', '/proc/modules')).toMatch(/^dummy /m)
})

test('a kernel that boots, is saved, restored and used has nothing to report', async () => {
  expect(
    reportsIn(await inContainer(['--privileged', '--volume', '/:/guest'], 'chroot', '/guest', 'dmesg', '-r')),
  ).toEqual([])
})
