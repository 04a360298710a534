import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { amd64 } from '../../arch/amd64.ts'
import { createLogger } from '../../log/index.ts'
import { formatKernelFacts, type KernelFacts, parseKernelConfig, parseKernelFacts } from './kernel-facts.ts'
import { neededOptions } from './needs.ts'
import { examine, KernelUnsuitableError, type PreflightRequest, preflight } from './preflight.ts'

const fixtures = join(import.meta.dirname, '../../../fixtures/kernel-configs')
const images = join(import.meta.dirname, '../../../images/kernel')

/** The facts of a Debian kernel, after its config was changed as `edit` says. */
function factsOf(name: string, edit: (config: string) => string = (config) => config): KernelFacts {
  const text = edit(readFileSync(join(fixtures, `${name}.config`), 'utf8'))
  const facts: KernelFacts = {
    release: `${name}-test`,
    modules: 'present',
    config: parseKernelConfig(text, neededOptions(amd64)),
  }
  // As it comes from an image's label.
  return parseKernelFacts(formatKernelFacts(facts)) ?? expect.fail('the facts do not survive their own format')
}

function check(facts: KernelFacts, request: Partial<PreflightRequest> = {}): string[] {
  const lines: string[] = []
  const log = createLogger({ write: (line) => lines.push(line) })
  preflight(facts, {
    entry: 'e',
    kernel: 'k',
    arch: amd64,
    machine: 'auto',
    cgroup: 2,
    runs: 'dockerd',
    controllers: 'all',
    log,
    ...request,
  })
  return lines
}

function refusal(facts: KernelFacts, request: Partial<PreflightRequest> = {}): KernelUnsuitableError {
  try {
    check(facts, request)
  } catch (error) {
    if (error instanceof KernelUnsuitableError) return error
    throw error
  }
  return expect.fail('the kernel was not refused')
}

const turnOff = (option: string) => (config: string) =>
  config.replace(new RegExp(`^CONFIG_${option}=.*$`, 'm'), `# CONFIG_${option} is not set`)

const all = ['bullseye-5.10', 'bookworm-6.1', 'bookworm-amd64-6.1', 'trixie-6.12', 'sid-7.2', 'trixie-backports-7.3']

test.each(all)('%s has all that a guest on cgroup v2 needs', (name) => {
  expect(check(factsOf(name))).toEqual([])
})

test.each(all)('%s lacks no feature of the list: each option of it exists under that name', (name) => {
  expect(examine(factsOf(name), { arch: amd64, machine: 'auto', cgroup: 2, runs: 'dockerd' })).toEqual([])
})

test.each(['bullseye-5.10', 'bookworm-6.1', 'bookworm-amd64-6.1'])('%s has all that cgroup v1 needs', (name) => {
  expect(check(factsOf(name), { cgroup: 1 })).toEqual([])
})

test.each(['trixie-6.12', 'sid-7.2', 'trixie-backports-7.3'])('%s is refused on cgroup v1', (name) => {
  const { message, code } = refusal(factsOf(name), { cgroup: 1, kernel: 'debian:somewhere' })
  expect(code).toBe('KERNEL_UNSUITABLE')
  expect(message).toContain(`e: the kernel ${name}-test (debian:somewhere) lacks CONFIG_MEMCG_V1, CONFIG_CPUSETS_V1`)
  expect(message).toContain("config: ['cgroup-v1']")
  expect(message).toContain('debian:bookworm')
  expect(message).toContain("controllers: 'partial'")
})

test('with partial controllers it is warned of what is missing', () => {
  expect(check(factsOf('trixie-6.12'), { cgroup: 1, controllers: 'partial' })).toEqual([
    'warning: the kernel trixie-6.12-test (k) goes without CONFIG_MEMCG_V1 (docker run --memory on cgroup v1), CONFIG_CPUSETS_V1 (docker run --cpuset-cpus on cgroup v1)',
  ])
})

test('with the fragment cgroup-v1 it will do', () => {
  const withFragment = factsOf('trixie-6.12', (config) =>
    config.replace(/^# (CONFIG_(?:MEMCG|CPUSETS)_V1) is not set$/gm, '$1=y'),
  )
  expect(check(withFragment, { cgroup: 1 })).toEqual([])
})

test.each(['OVERLAY_FS', 'VETH', 'BRIDGE', 'NF_NAT', 'VIRTIO_BLK', 'VIRTIO_NET', 'CGROUP_BPF'])(
  'a kernel without %s is refused whatever the controllers',
  (option) => {
    for (const name of all) {
      const { message } = refusal(factsOf(name, turnOff(option)), { controllers: 'partial' })
      expect(message).toContain(`lacks CONFIG_${option}, which a guest`)
      expect(message).not.toContain('partial')
    }
  },
)

const turnOffAll =
  (...options: string[]) =>
  (config: string) =>
    options.reduce((text, option) => turnOff(option)(text), config)

test.each<[string, string[], string]>([
  [
    'no transport',
    ['VIRTIO_MMIO', 'VIRTIO_PCI'],
    "CONFIG_VIRTIO_MMIO, or CONFIG_VIRTIO_PCI (finding the machine's devices)",
  ],
  [
    'no read-only file system',
    ['EROFS_FS', 'SQUASHFS', 'EXT4_FS'],
    'CONFIG_EROFS_FS, or CONFIG_SQUASHFS, or CONFIG_EXT4_FS (the disks with the rootfs and the kernel files)',
  ],
  [
    'no writable file system',
    ['EXT4_FS', 'XFS_FS', 'BTRFS_FS'],
    'CONFIG_EXT4_FS, or CONFIG_XFS_FS, or CONFIG_BTRFS_FS (the writable disk)',
  ],
])('a kernel with %s is refused, with all that would do', (_, options, line) => {
  const { output } = refusal(factsOf('bookworm-6.1', turnOffAll(...options)))
  expect(output?.split('\n')).toContain(line)
})

test('the machine that an entry names must be there, whatever other the kernel could do', () => {
  const facts = factsOf('bookworm-6.1', turnOff('VIRTIO_MMIO'))
  expect(check(facts)).toEqual([])
  expect(check(facts, { machine: 'pci' })).toEqual([])
  const { message } = refusal(facts, { machine: 'mmio' })
  expect(message).toContain('lacks CONFIG_VIRTIO_MMIO, which')
  expect(message).toContain("leave out machine: 'mmio'")
  const withoutPci = factsOf('bookworm-6.1', turnOff('VIRTIO_PCI'))
  expect(refusal(withoutPci, { machine: 'pci' }).message).toContain('lacks CONFIG_VIRTIO_PCI, which')
  const withoutWayToPci = factsOf('bookworm-6.1', turnOff('PCI_MMCONFIG'))
  expect(refusal(withoutWayToPci, { machine: 'pci' }).message).toContain('lacks CONFIG_PCI_MMCONFIG, which')
})

test('what dockerd alone needs is nothing to a guest with another command', () => {
  const facts = factsOf('bookworm-6.1', turnOff('BRIDGE'))
  expect(check(facts, { runs: 'command' })).toEqual([])
  expect(refusal(facts).message).toContain('CONFIG_BRIDGE')
})

test('CGROUP_DEVICE is for v1, CGROUP_BPF for v2', () => {
  const withoutDevice = factsOf('bookworm-6.1', turnOff('CGROUP_DEVICE'))
  const withoutBpf = factsOf('bookworm-6.1', turnOff('CGROUP_BPF'))
  expect(check(withoutDevice)).toEqual([])
  expect(check(withoutBpf, { cgroup: 1 })).toEqual([])
  expect(refusal(withoutDevice, { cgroup: 1 }).message).toContain('CONFIG_CGROUP_DEVICE')
})

test.each(['4.18.0', '5.4.0', '5.10.0', '6.0.0', '6.1.0', '6.12.0', '7.2.0'])(
  'what we build of %s has all of the list, and on cgroup v1 with the fragment for it',
  (release) => {
    const factsOf = (...names: string[]): KernelFacts => {
      const paths = names.map((name) => `fragments/${name}.config`)
      const text = ['amd64/base.config', ...paths].map((path) => readFileSync(join(images, path), 'utf8')).join('\n')
      return { release, modules: 'absent', config: parseKernelConfig(text) }
    }
    // The one thing that is a module, so that there is one to test modprobe with.
    const dummy = [expect.objectContaining({ missing: [{ name: 'DUMMY', why: 'module-absent' }] })]
    expect(examine(factsOf('base'), { arch: amd64, machine: 'auto', cgroup: 2, runs: 'dockerd' })).toEqual(dummy)
    expect(examine(factsOf('base', 'cgroup-v1'), { arch: amd64, machine: 'auto', cgroup: 1, runs: 'dockerd' })).toEqual(
      dummy,
    )
  },
)

test.each(['PROC_SYSCTL', 'NF_TABLES_IPV4', 'NFT_COUNTER'])("one without %s, which moby's list lets pass", (option) => {
  const edit = (config: string) => turnOff('IP_NF_IPTABLES')(turnOff(option)(config))
  expect(refusal(factsOf('bullseye-5.10', edit)).message).toContain(`lacks CONFIG_${option}, which a guest`)
})

test('swap was an option up to 6.0', () => {
  expect(refusal(factsOf('bullseye-5.10', turnOff('MEMCG_SWAP'))).message).toContain('CONFIG_MEMCG_SWAP')
  expect(check(factsOf('bookworm-6.1'))).toEqual([])
})

test('a kernel of before 5.1 has NAT by protocol, and is asked for it', () => {
  const old = (...options: string[]) => factsOf('mainline-4.19', turnOffAll(...options))
  const ownTables = ['IP_NF_IPTABLES', 'IP_NF_TARGET_MASQUERADE']
  expect(check(old(), { cgroup: 1 })).toEqual([])
  expect(check(old('NFT_CHAIN_NAT_IPV4'), { cgroup: 1 })).toEqual([])
  expect(refusal(old('NFT_CHAIN_NAT_IPV4', ...ownTables)).output).toContain(
    "CONFIG_NFT_CHAIN_NAT_IPV4, or CONFIG_IP_NF_IPTABLES (iptables in the guest's rootfs",
  )
  expect(refusal(old('NFT_MASQ_IPV4', ...ownTables)).output).toContain('CONFIG_NFT_MASQ_IPV4, or')
})

test('one of an old number that has it in one, as those of distributions do, is not asked for it', () => {
  const without = (name: string) => (config: string) =>
    config.replaceAll(new RegExp(`^.*CONFIG_${name}\\b.*\n`, 'gm'), '')
  const edit = (config: string) =>
    ['NFT_CHAIN_NAT_IPV4', 'NFT_MASQ_IPV4', 'IP_NF_IPTABLES'].reduce((text, name) => without(name)(text), config)
  expect(check(factsOf('mainline-4.19', edit), { cgroup: 1 })).toEqual([])
})

test('EROFS counts from 5.4 on: before, it was a driver in staging of that name', () => {
  const { output } = refusal(factsOf('mainline-4.19', turnOff('EXT4_FS')))
  expect(output?.split('\n')).toContain(
    'CONFIG_SQUASHFS CONFIG_SQUASHFS_ZLIB, or CONFIG_EXT4_FS (the disks with the rootfs and the kernel files)',
  )
})

test('an old kernel on cgroup v2 gets a warning of controllers of which no config says that they are there', () => {
  expect(check(factsOf('mainline-4.19'))).toEqual([
    'warning: the kernel mainline-4.19-test (k) is 4.19: on cgroup v2 there is docker run --cpuset-cpus from 5.0 on, docker pause from 5.2 on, unless the distribution has brought it to an older one, as RHEL 8 has',
  ])
  expect(check(factsOf('mainline-4.19'), { runs: 'command' })).toHaveLength(1)
})

test('one of several ways to do it is enough, and the usual one is named when there is none', () => {
  const withoutXt = (config: string) => turnOff('NETFILTER_XT_TARGET_MASQUERADE')(config)
  const withoutIp = (config: string) => turnOff('IP_NF_TARGET_MASQUERADE')(config)
  const withoutNft = (config: string) => turnOff('NFT_MASQ')(config)
  expect(check(factsOf('trixie-6.12', withoutXt))).toEqual([])
  expect(check(factsOf('trixie-6.12', (config) => withoutIp(withoutXt(config))))).toEqual([])
  const { message } = refusal(factsOf('trixie-6.12', (config) => withoutNft(withoutIp(withoutXt(config)))))
  expect(message).toContain('lacks CONFIG_NETFILTER_XT_TARGET_MASQUERADE,')
})

test('an option that is a module counts for nothing without modules', () => {
  const { message } = refusal({ ...factsOf('bookworm-6.1'), modules: 'absent' })
  expect(message).toContain('CONFIG_VIRTIO_MMIO=m without modules')
  expect(message).toContain('kernel: { vmlinuz: PATH, modules: PATH }')
})

test('a kernel without its config gets a warning and a chance', () => {
  const facts = parseKernelFacts(formatKernelFacts({ release: '6.6.6', modules: 'absent', config: undefined }))
  expect(facts).toEqual({ release: '6.6.6', modules: 'absent', config: undefined })
  expect(check(facts as KernelFacts)).toEqual([expect.stringContaining('warning: the kernel 6.6.6 (k) came without')])
})

test.each(['', 'x', '{}', '{"release":1}'])('a label %j that is not of ours is no fact', (label) => {
  expect(parseKernelFacts(label)).toBeUndefined()
})

test.each([
  [{ mounts: true }, 'FUSE_FS', "turn them on in the kernel's config"],
  [{ kmemleak: true }, 'DEBUG_KMEMLEAK', "build one with the fragment kmemleak: kernel: { source: 'debian/bookworm'"],
])('a kernel is refused that has not what %o takes, and only then', (asked, option, remedy) => {
  const facts = factsOf('bookworm-6.1', turnOff('FUSE_FS'))
  expect(check(facts)).toEqual([])
  const error = refusal(facts, { runs: 'command', ...asked })
  expect(error.message).toContain(`lacks CONFIG_${option}`)
  expect(error.remedy.startsWith(remedy)).toBe(true)
})
