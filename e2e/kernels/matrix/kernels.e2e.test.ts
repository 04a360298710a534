// What each kernel of the matrix must show: a dockerd that answers and runs containers, the kernel's files and modules in the guest, and
// forks. The VM of an entry is a clone of a template, which a cold boot made.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { KernelVm } from 'testkernels'
import { kernels } from 'testkernels/vitest'
import { beforeAll, describe, expect, test } from 'vitest'
import { fixtureImage, fixtureTar } from '../../support/env.ts'
import { reportsIn } from '../../support/kernel-log.ts'
import { entryOf, parts } from './entries.ts'

const run = promisify(execFile)

test('all entries of one part of the matrix are up', () => {
  const up = kernels().map(({ name }) => name)
  expect(parts.map((part) => Object.keys(part))).toContainEqual(up)
})

/** A VM of an entry, or a fork of one. */
type Guest = Parameters<typeof docker>[0]

describe.each(kernels())('$name', (kernel) => {
  const { entry, row } = entryOf(kernel.name)
  const { release, drivers = ['mmio', 'erofs', 'ext4'], has = ['modules', 'System.map'] } = row

  beforeAll(() => load(kernel))

  test('its dockerd answers, on this kernel and cgroup version', async () => {
    const { KernelVersion, CgroupVersion, MemoryLimit, SwapLimit } = await kernel.docker().info()
    expect(KernelVersion).toMatch(release)
    expect(CgroupVersion).toBe(String(kernel.cgroup))
    const isComplete = entry.controllers === 'all'
    expect({ MemoryLimit, SwapLimit }).toEqual({ MemoryLimit: isComplete, SwapLimit: isComplete })
    expect(await docker(kernel, 'info', '--format', '{{.KernelVersion}} {{.CgroupVersion}}')).toBe(
      `${KernelVersion} ${CgroupVersion}`,
    )
    expect(await inGuest(kernel, 'uname -r')).toBe(KernelVersion)
    expect(await inContainer(kernel, 'uname', '-r')).toBe(KernelVersion)
  })

  test.runIf(entry.controllers === 'all')('limits memory and swap of a container', async () => {
    const file = kernel.cgroup === 1 ? 'memory/memory.limit_in_bytes' : 'memory.max'
    const swapFile = kernel.cgroup === 1 ? 'memory/memory.memsw.limit_in_bytes' : 'memory.swap.max'
    const limits = ['--memory', '64m', '--memory-swap', '96m']
    const argv = ['run', '--rm', ...limits, '--workdir', '/sys/fs/cgroup', fixtureImage, 'cat', file, swapFile]
    // On v1 the second is of both together.
    const swap = kernel.cgroup === 1 ? 100_663_296 : 33_554_432
    expect(await docker(kernel, ...argv)).toBe(`67108864\n${swap}`)
  })

  test('has the files of the kernel under /boot, which nobody can write to', async () => {
    const script = `
      r=$(uname -r)
      for file in vmlinuz config System.map; do
        if [ -s /boot/$file ] && [ -s /boot/$file-$r ]; then echo $file; else echo "no $file"; fi
      done
      grep -c "^CONFIG_OVERLAY_FS=[ym]$" /boot/config
      grep -m 1 "Linux/x86" /boot/config
      touch /boot/x /lib/modules/x 2>&1 || true`
    const [vmlinuz, config, map, overlay, head = '', boot, modules] = (await inGuest(kernel, script)).split('\n')
    const systemMap = has.includes('System.map') ? 'System.map' : 'no System.map'
    expect([vmlinuz, config, map, overlay]).toEqual(['vmlinuz', 'config', systemMap, '1'])
    const { KernelVersion } = await kernel.docker().info()
    expect(head).toContain(/^\d+\.\d+/.exec(KernelVersion)?.[0])
    expect(boot).toContain('Read-only file system')
    expect(modules).toContain('Read-only file system')
  })

  test.runIf(row.isBuiltForV1)('was built with the config under /boot', async () => {
    expect(
      await inGuest(
        kernel,
        'zcat /proc/config.gz | cmp - /boot/config && grep -E "^CONFIG_(MEMCG|CPUSETS)_V1=" /boot/config',
      ),
    ).toBe('CONFIG_MEMCG_V1=y\nCONFIG_CPUSETS_V1=y')
  })

  test('has the machine and the file systems that its config asks for', async () => {
    const devices = await inContainer(kernel, 'ls', '-l', '/sys/bus/virtio/devices/')
    const mounts = await inGuest(kernel, 'grep -E " (/boot|/var/lib/docker) " /proc/1/mounts')
    const [transport, disks, scratch] = drivers
    expect(devices.includes('/pci0000:00/') ? 'pci' : 'mmio').toBe(transport)
    const found = mounts.split('\n').map((line) => line.split(' ').slice(1, 3).join(' '))
    expect(found.toSorted()).toEqual([`/boot ${disks}`, `/var/lib/docker ${scratch}`])
  })

  test.runIf(has.includes('modules'))(
    "loads a module late, with the rootfs's modprobe and with ours when the kernel asks for it",
    async () => {
      const script = `
      cut -d : -f 1 /lib/modules/$(uname -r)/modules.dep | while read -r file; do
        [ -f "/lib/modules/$(uname -r)/$file" ] || echo "absent: $file"
      done
      lsmod | grep -cE "^(dummy|sch_netem) "
      /sbin/modprobe sch_netem
      echo /.testkernels/bin/modprobe >/proc/sys/kernel/modprobe
      /.testkernels/bin/ip link add dummy9 type dummy
      lsmod | grep -oE "^(dummy|sch_netem) " | sort`
      expect(await inGuest(kernel, script)).toBe('0\ndummy \nsch_netem')
    },
  )

  test.skipIf(has.includes('modules'))('has every driver built in where its image has no modules to load', async () => {
    expect(await inGuest(kernel, 'lsmod | tail -n +2; find /lib/modules/ -name "*.ko*"')).toBe('')
    expect(await inGuest(kernel, 'modprobe sch_netem 2>&1 || true')).toContain('sch_netem not found')
  })

  test('its kernel has reported nothing, from its first line on', async () => {
    expect(reportsIn(await inGuest(kernel, 'dmesg -r'))).toEqual([])
  })

  test('is restored and forked to guests that are themselves, and load modules of their own', async () => {
    await using vm = await new KernelVm({ ...entry, name: kernel.name }).start()
    expect(vm.steps.map(({ name }) => name)).toContain('restore')
    await using fork = await vm.fork()
    await load(fork)
    expect(await inContainer(fork, 'uname', '-r')).toBe(vm.kernelRelease)
    expect(await inGuest(fork, 'cat /proc/sys/kernel/hostname')).toBe(fork.hostname)
    await inGuest(fork, 'echo mine >/etc/mine')
    expect((await vm.exec('ls /etc/mine 2>/dev/null || echo none')).stdout).toBe('none\n')
    if (has.includes('modules')) {
      const late = 'modprobe sch_netem && grep -o "^sch_netem " /proc/modules'
      expect(await inGuest(fork, late)).toBe('sch_netem')
      expect((await vm.exec('grep -c "^sch_netem " /proc/modules')).stdout).toBe('0\n')
    }
    for (const one of [vm, fork]) expect(one.kernelReports).toEqual([])
  })
})

async function load(guest: Guest): Promise<void> {
  await docker(guest, 'load', '--quiet', '--input', fixtureTar)
}

async function inContainer(guest: Guest, ...command: string[]): Promise<string> {
  return await docker(guest, 'run', '--rm', fixtureImage, ...command)
}

/** In the guest itself, with the user space of its rootfs. */
async function inGuest(guest: Guest, script: string): Promise<string> {
  const root = ['--privileged', '--pid=host', '--network=host', '--volume', '/:/guest']
  return await docker(guest, 'run', '--rm', ...root, fixtureImage, 'chroot', '/guest', 'sh', '-c', script)
}

async function docker(
  guest: { readonly environment: Readonly<Record<string, string | undefined>> },
  ...args: string[]
): Promise<string> {
  return (await run('docker', args, { env: { ...process.env, ...guest.environment } })).stdout.trim()
}
