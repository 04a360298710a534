// What a guest is besides its kernel: a Linux as systemd sets it up. Runs once for each entry, with nothing imported from testkernels.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { describe, expect, test } from 'vitest'
import { fixtureImage } from '../support/env.ts'

const run = promisify(execFile)
const docker = new Docker()

async function inContainer(options: string[], ...command: string[]): Promise<string> {
  const { stdout } = await run('docker', ['run', '--rm', ...options, fixtureImage, ...command])
  return stdout.trim()
}

/** A shell script in the guest itself. */
function inGuest(script: string): Promise<string> {
  const root = ['--privileged', '--pid=host', '--volume', '/:/guest:rslave']
  return inContainer(root, 'chroot', '/guest', 'sh', '-euc', script)
}

describe('mounts', () => {
  test('of the guest show in a container that asks for them, read-only and without privileges', async () => {
    expect(await inContainer(['--volume', '/:/host:ro,rslave'], 'cat', '/host/proc/1/comm')).toBe('agent')
  })

  test('of a container show in the guest where they are shared', async () => {
    const share = ['--privileged', '--volume', '/mnt:/mnt:rshared']
    await inContainer(share, 'mount', '-t', 'tmpfs', 'shared-probe', '/mnt')
    try {
      expect(await inGuest('grep -c "^shared-probe /mnt tmpfs" /proc/1/mounts')).toBe('1')
    } finally {
      await inContainer(share, 'umount', '/mnt')
    }
  })

  test('are those of a machine with systemd', async () => {
    const mounts = (await inGuest('cat /proc/1/mounts'))
      .split('\n')
      .map((line) => line.split(' ').slice(1, 3).join(' '))
    expect(mounts).toEqual(
      expect.arrayContaining([
        '/dev/hugepages hugetlbfs',
        '/dev/mqueue mqueue',
        '/dev/shm tmpfs',
        '/proc/sys/fs/binfmt_misc binfmt_misc',
        '/run/lock tmpfs',
        '/sys/fs/bpf bpf',
        '/sys/fs/fuse/connections fusectl',
        '/sys/fs/pstore pstore',
        '/sys/kernel/config configfs',
        '/sys/kernel/debug debugfs',
        '/sys/kernel/security securityfs',
        '/sys/kernel/tracing tracefs',
      ]),
    )
  })
})

test("sysctls are a Debian's, and those of inotify what orchestrators ask for", async () => {
  const expected = {
    'vm/max_map_count': '1048576',
    'kernel/pid_max': '4194304',
    'fs/inotify/max_user_instances': '1024',
    'fs/inotify/max_user_watches': '524288',
    'fs/protected_hardlinks': '1',
    'net/ipv4/conf/eth0/rp_filter': '2',
    'net/ipv4/ping_group_range': '0\t2147483647',
  }
  const names = Object.keys(expected)
  const values = (await inGuest(`cd /proc/sys && cat ${names.join(' ')}`)).split('\n')
  expect(Object.fromEntries(names.map((name, at) => [name, values[at]]))).toEqual(expected)
})

test("the name servers, search domains and options of the VM's container are the guest's", async () => {
  const [cmdline = '', ...resolv] = (await inGuest('cat /proc/cmdline /etc/resolv.conf')).split('\n')
  const argument = (name: string) => new RegExp(`testkernels\\.${name}=(\\S+)`).exec(cmdline)?.[1]?.replaceAll(',', ' ')
  const [search, options] = [argument('search'), argument('resolver')]
  expect(resolv).toEqual([
    ...['192.0.2.1', '192.0.2.5', '192.0.2.6']
      .slice(0, Number(argument('nameservers')))
      .map((at) => `nameserver ${at}`),
    ...(search === undefined ? [] : [`search ${search}`]),
    ...(options === undefined ? [] : [`options ${options}`]),
  ])
})

test('each device that the kernel has a driver for is there, whether it is loaded or not', async () => {
  const list = 'sed -n "s|^[^#]\\S* \\(\\S*\\) .*|\\1|p" "/lib/modules/$(uname -r)/modules.devname"'
  const missing = await inGuest(`for name in $(${list}); do [ -c "/dev/$name" ] || echo "$name"; done`)
  expect(missing).toBe('')
  expect(await inGuest('stat -c "%n %a %G" /dev/net/tun /dev/fuse /dev/loop-control')).toBe(
    '/dev/net/tun 666 root\n/dev/fuse 666 root\n/dev/loop-control 660 disk',
  )
})

describe('confinement', () => {
  const mayMount = ['--cap-add', 'SYS_ADMIN', '--security-opt', 'seccomp=unconfined']
  const mount = ['sh', '-c', 'mount -t tmpfs none /tmp 2>&1 && echo mounted']

  test('what dockerd says is in force, and nothing else', async () => {
    const { SecurityOptions, CgroupDriver } = await docker.info()
    const names = (SecurityOptions as string[]).flatMap((option) => /name=(\w+)/.exec(option)?.[1] ?? [])
    expect(names.filter((name) => name !== 'cgroupns').sort()).toEqual(['apparmor', 'seccomp'])
    expect(CgroupDriver).toBe('cgroupfs')
    const state = ['sh', '-c', 'cat /proc/self/attr/current; grep ^Seccomp: /proc/self/status']
    expect(await inContainer([], ...state)).toMatch(/^docker-default \(enforce\)\nSeccomp:\s+2$/)
  })

  test('AppArmor denies what Debian denies, and only while it is asked to', async () => {
    await expect(inContainer(mayMount, ...mount)).rejects.toMatchObject({
      stdout: expect.stringContaining('Permission denied'),
    })
    expect(await inContainer([...mayMount, '--security-opt', 'apparmor=unconfined'], ...mount)).toBe('mounted')
  })
})
