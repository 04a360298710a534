import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { amd64 } from '../arch/amd64.ts'
import { parseKernelEntry } from '../options/index.ts'
import { guestLink } from './devices.ts'
import { type Machine, probeArguments, qemuArguments, standaloneArguments } from './machine.ts'

const machine: Machine = {
  arch: amd64,
  transport: 'mmio',
  accelerator: { kind: 'tcg', counterKhz: 2_596_134 },
  memoryMib: 2048,
  cpus: 2,
  cgroup: 1,
  controlSocket: '/run/testkernels/control.sock',
}

function after(option: string, args: string[]): string | undefined {
  return args[args.indexOf(option) + 1]
}

test('gives the disks in the order that the guest expects', () => {
  const drives = qemuArguments(machine).filter((word) => word.startsWith('virtio-blk-device'))
  expect(drives).toEqual(['rootfs', 'kernel', 'scratch'].map((id) => `virtio-blk-device,drive=${id}`))
})

test('on PCI it has the same devices in the same order, and none of MMIO', () => {
  const devices = (args: string[]) =>
    args.filter((_, at) => args[at - 1] === '-device').map((word) => word.split(',')[0])
  const onPci = qemuArguments({ ...machine, transport: 'pci', preload: 'disk' })
  const onMmio = qemuArguments({ ...machine, preload: 'disk' })
  expect(devices(onPci)).toEqual(devices(onMmio).map((name) => name?.replace(/-device$/, '-pci')))
  expect(after('-M', onPci)).not.toBe(after('-M', onMmio))
})

test('the machine of an old kernel is another one with the same devices', () => {
  const old = qemuArguments({ ...machine, transport: 'pci', generation: 'old' })
  const current = qemuArguments({ ...machine, transport: 'pci' })
  expect(after('-M', old)).toMatch(/^q35,/)
  expect(after('-M', qemuArguments({ ...machine, transport: 'pci', generation: 'old', start: 'stopped' }))).toBe(
    after('-M', old),
  )
  // The firmware of the other only starts kernels on that.
  expect(old).not.toContain('-bios')
  expect(old.slice(old.indexOf('-smp'))).toEqual(current.slice(current.indexOf('-smp')))
})

test('a device for a network of VMs comes after that of the link, with a clone as well', () => {
  const nets = (args: string[]) => args.filter((word) => /^tap,|^virtio-net/.test(word)).join(' ')
  for (const start of ['boot', 'stopped'] as const) {
    const args = qemuArguments({ ...machine, vmNetwork: 'device', start })
    expect(nets(args)).toMatch(
      /^tap,id=net,ifname=tap0\S* \S+netdev=net,mac=\S*:01,\S* tap,id=vms,ifname=tap1\S* \S+netdev=vms,mac=\S*:02,/,
    )
  }
  expect(nets(qemuArguments(machine))).not.toContain('tap1')
})

test('a disk with images comes last, and a clone has an empty one in its place', () => {
  const booting = qemuArguments({ ...machine, preload: 'disk' }).join(' ')
  const restored = qemuArguments({ ...machine, preload: 'disk', start: 'stopped' }).join(' ')
  for (const args of [booting, restored]) expect(args).toMatch(/drive=scratch.* virtio-blk-device,drive=preload/)
  expect(booting).toMatch(/id=preload,file=\S+,format=raw,readonly=on/)
  expect(restored).toMatch(/id=preload,driver=null-co,\S*readonly=on/)
  expect(restored).not.toContain('preload.img')
})

test('tells the kernel its console, the TSC rate and the cgroup version', () => {
  const cmdline = after('-append', qemuArguments(machine))
  expect(cmdline).toBe(
    'tsc_early_khz=2596134 tsc=reliable console=ttyS0 panic=-1 log_buf_len=2M reboot=t testkernels.cgroup=1 ' +
      'cgroup_enable=memory swapaccount=1 systemd.unified_cgroup_hierarchy=0 systemd.legacy_systemd_cgroup_controller=1 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1',
  )
})

test("what an entry tells the kernel comes after what every guest's is, as it is", () => {
  const own = ['lsm=landlock', 'dyndbg="module overlay +p"']
  const cmdline = after('-append', qemuArguments({ ...machine, kernelArguments: own }))
  expect(cmdline).toBe(`${after('-append', qemuArguments(machine))} lsm=landlock dyndbg="module overlay +p"`)
})

test('no entry can give its kernel an argument that every guest has', () => {
  const cmdline = after('-append', qemuArguments(machine)) ?? ''
  for (const argument of cmdline.split(' '))
    expect(() => parseKernelEntry('v1', { kernel: 'debian:bookworm', kernelArguments: [argument] })).toThrow(
      'not yours',
    )
})

test('under KVM the guest has the CPU of the host and measures its own TSC', () => {
  const args = qemuArguments({ ...machine, accelerator: { kind: 'kvm' } })
  expect(after('-accel', args)).toBe('kvm')
  expect(after('-cpu', args)).toBe('host')
  expect(after('-append', args)).not.toContain('tsc')
})

test('a machine nobody talks to has no control port', () => {
  const { controlSocket: _, ...alone } = machine
  expect(qemuArguments(alone).join(' ')).not.toContain('virtserialport')
})

test('what docker run starts by itself needs no KVM, and measures the TSC where it runs', () => {
  const args = standaloneArguments({ arch: amd64, transport: 'mmio' })
  expect(after('-accel', args)).toMatch(/^tcg/)
  const token = /tsc_early_khz=(\S+)/.exec(after('-append', args) ?? '')?.[1] ?? ''
  expect(readFileSync(new URL('../../images/runner/entrypoint', import.meta.url), 'utf8')).toContain(token)
})

test('the probe guest has neither disk nor network', () => {
  const args = probeArguments(amd64, { kind: 'kvm' }).join(' ')
  expect(args).toContain('testkernels.probe')
  expect(args).not.toContain('virtio')
})

test.each(['guest/init', 'runner/entrypoint'])('images/%s holds the addresses of the guest link', (file) => {
  const script = readFileSync(new URL(`../../images/${file}`, import.meta.url), 'utf8')
  expect(script).toContain(guestLink.hostAddress)
  expect(script).toContain(guestLink.guestAddress)
  expect(script).toContain(guestLink.ipv6.hostAddress)
  expect(script).toContain(guestLink.ipv6.guestAddress)
})

test('only the link of a machine that says so has IPv6', () => {
  const append = (args: string[]) => after('-append', args)?.split(' ')
  expect(append(qemuArguments(machine))).not.toContain('testkernels.ipv6')
  expect(append(qemuArguments({ ...machine, ipv6: 'routed' }))).toContain('testkernels.ipv6')
})

test('what starts the door, and what makes its network, agree on where the machine of the owner is', () => {
  const read = (file: string) => readFileSync(new URL(`../../images/${file}`, import.meta.url), 'utf8')
  for (const file of ['runner/entrypoint', 'runner/supervise']) expect(read(file)).toContain(guestLink.ownerAddress)
})

test('both ends of the door know where they meet, and SSH is where only the door leads to', () => {
  const read = (file: string) => readFileSync(new URL(`../../images/${file}`, import.meta.url), 'utf8')
  const { hostAddress, guestAddress, doorPort, sshPort } = guestLink
  expect(read('guest/agent/door.c')).toContain(`#define LINK_ADDRESS "${guestAddress}"`)
  expect(read('guest/agent/door.c')).toContain(`#define LINK_PEER "${hostAddress}"`)
  expect(read('guest/agent/door.c')).toContain(`#define DOOR_PORT "${doorPort}"`)
  expect(read('runner/supervise')).toContain(`door.sock" ${guestAddress} ${doorPort}`)
  expect(read('guest/agent/sessions.c')).toContain('#define SSH_ADDRESS "127.0.0.1"')
  expect(read('guest/agent/sessions.c')).toContain(`#define SSH_PORT ${sshPort}`)
  expect(read('runner/entrypoint')).toContain(`tcp dport { ${sshPort}, ${doorPort} } accept`)
})

test('a machine to be restored differs in nothing that the guest sees', () => {
  const template: Machine = { ...machine, memory: { kind: 'file', file: '/t/mem.img', mapping: 'shared' } }
  const clone: Machine = {
    ...machine,
    memory: { kind: 'file', file: '/t/mem.img', mapping: 'copy-on-write' },
    scratch: { file: '/t/scratch.img', access: 'copy-on-write' },
    start: 'stopped',
  }
  const seen = (args: string[]) =>
    args.filter((word, at) => ['-device', '-M', '-m', '-smp', '-cpu'].includes(args[at - 1] ?? '') && word)
  expect(seen(qemuArguments(clone))).toEqual(seen(qemuArguments(template)))
  expect(after('-incoming', qemuArguments(clone))).toBe('defer')
  expect(qemuArguments(clone)).not.toContain('-kernel')
})

test('a clone can change neither the RAM nor the disk of its template', () => {
  const args = qemuArguments({
    ...machine,
    memory: { kind: 'file', file: '/t/mem.img', mapping: 'copy-on-write' },
    scratch: { file: '/t/scratch.img', access: 'copy-on-write' },
  })
  expect(args.find((word) => word.includes('/t/mem.img'))).toContain('share=off,readonly=on')
  expect(args.find((word) => word.includes('/t/scratch.img'))).toContain('snapshot=on')
})
