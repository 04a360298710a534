import type { Architecture } from '../../arch/index.ts'
import { driverOptions, type MachineRequest } from './drivers.ts'
import { isBefore, type KernelFacts, type KernelVersion, knowsOption, versionOf } from './kernel-facts.ts'

/** Something that a guest wants of its kernel. */
export interface Need {
  /**
   * Options that must all be on, such as `NET_NS PID_NS`; or such sets with `|` between them, of which one will do. The first
   * is the one that people are told of. Without `CONFIG_`.
   */
  readonly options: string
  /** What it is for, to be read after the options. */
  readonly purpose: string
  readonly of: NeedLevel
  /** Only on this cgroup version. @default both */
  readonly cgroup?: 1 | 2
  /** The first kernel that has the option. Before, it was always on, or part of another. */
  readonly since?: KernelVersion
  /** The first kernel that has the option no more: there it is always on, or part of another. */
  readonly until?: KernelVersion
  /**
   * Only of kernels whose config names the first of the options, on or off. It became part of another option in some version, and
   * distributions' kernels of an older number (RHEL 8's 4.18) may have that already: `until` would refuse them.
   */
  readonly ifKnown?: true
}

/**
 * - `guest`: without it no guest of ours comes up, whatever runs in it
 * - `dockerd`: without it no dockerd comes up, or no container
 * - `controller`: something of containers cannot be limited or counted; `controllers: 'partial'` goes without
 * - `feature`: something that few tests need
 */
export type NeedLevel = 'guest' | 'dockerd' | 'controller' | 'feature'

/** The sets of options of which one will do. */
export function alternativesOf({ options }: Pick<Need, 'options'>): readonly (readonly string[])[] {
  return options.split('|').map((set) => set.trim().split(/\s+/))
}

/** Whether kernels of this version have the options at all. One whose version is unknown is taken for a new one. */
export function concerns(need: Need, facts: KernelFacts): boolean {
  const { since, until, ifKnown } = need
  const [first = ''] = alternativesOf(need)[0] ?? []
  if (ifKnown === true && !knowsOption(facts, first)) return false
  const version = versionOf(facts)
  if (version === undefined) return until === undefined
  return (since === undefined || !isBefore(version, since)) && (until === undefined || isBefore(version, until))
}

/** What our machine and our init are made of on every architecture: src/qemu, images/guest/init. */
const guest = ({ transports, disks, scratch }: ReturnType<typeof driverOptions>): readonly Need[] => [
  { of: 'guest', options: '64BIT', purpose: 'programs of 64 bits' },
  { of: 'guest', options: 'BLK_DEV_INITRD BINFMT_ELF BINFMT_SCRIPT', purpose: 'the initrd and the init in it' },
  { of: 'guest', options: 'PROC_FS SYSFS DEVTMPFS TMPFS', purpose: '/proc, /sys, /dev and /run' },
  ...transports.map((need) => ({ ...need, of: 'guest', purpose: "finding the machine's devices" }) as const),
  { of: 'guest', options: 'VIRTIO_BLK', purpose: 'the disks' },
  { of: 'guest', options: 'VIRTIO_NET', purpose: 'the network' },
  { of: 'guest', options: 'VIRTIO_CONSOLE', purpose: 'the port that the guest is controlled by' },
  ...disks.map(
    (need) => ({ ...need, of: 'guest', purpose: 'the disks with the rootfs and the kernel files' }) as const,
  ),
  { of: 'guest', options: scratch, purpose: 'the writable disk' },
  { of: 'guest', options: 'OVERLAY_FS', purpose: "the guest's root, and dockerd's images" },
  { of: 'guest', options: 'NET UNIX INET', purpose: 'sockets' },
  { of: 'guest', options: 'UNIX98_PTYS', purpose: 'terminals' },
  { of: 'guest', options: 'MULTIUSER', purpose: 'users and capabilities' },
  {
    of: 'guest',
    options: 'FUTEX EPOLL EVENTFD SIGNALFD TIMERFD POSIX_TIMERS FILE_LOCKING INOTIFY_USER FHANDLE ADVISE_SYSCALLS',
    purpose: 'system calls that every program takes for granted',
  },
  { of: 'guest', options: 'CGROUPS', purpose: 'cgroups of either version' },
  { of: 'feature', options: 'HW_RANDOM_VIRTIO', purpose: 'random numbers from the host' },
  {
    of: 'feature',
    options: 'EROFS_FS_XATTR | SQUASHFS_XATTR | EXT4_FS_SECURITY',
    purpose: 'file capabilities in the rootfs',
  },
]

const IPTABLES = "iptables in the guest's rootfs, on nftables or of its own"
const WAY_OUT = 'the way out of a container'

const dockerd: readonly Need[] = [
  { of: 'dockerd', options: 'NAMESPACES NET_NS PID_NS IPC_NS UTS_NS', purpose: 'the namespaces of a container' },
  { of: 'dockerd', options: 'POSIX_MQUEUE', purpose: '/dev/mqueue of a container' },
  { of: 'dockerd', options: 'KEYS', purpose: 'the keyring of a container' },
  { of: 'dockerd', options: 'VETH BRIDGE BRIDGE_NETFILTER', purpose: "docker's networks" },
  { of: 'dockerd', options: 'NF_CONNTRACK NF_NAT', purpose: 'published ports and the way out of a container' },
  {
    of: 'dockerd',
    // What the rootfs has decides; nftables is what distributions ship.
    options: 'NF_TABLES NF_TABLES_IPV4 NFT_COMPAT NFT_NAT | IP_NF_IPTABLES IP_NF_FILTER IP_NF_NAT',
    purpose: IPTABLES,
  },
  {
    of: 'dockerd',
    // iptables on nftables counts in every rule; later kernels always can.
    until: [5, 17],
    options: 'NFT_COUNTER | IP_NF_IPTABLES IP_NF_FILTER IP_NF_NAT',
    purpose: IPTABLES,
  },
  // In NFT_NAT and NFT_MASQ from 5.1 on.
  {
    of: 'dockerd',
    ifKnown: true,
    options: 'NFT_CHAIN_NAT_IPV4 | IP_NF_IPTABLES IP_NF_FILTER IP_NF_NAT',
    purpose: IPTABLES,
  },
  {
    of: 'dockerd',
    ifKnown: true,
    options: 'NFT_MASQ_IPV4 | NETFILTER_XT_TARGET_MASQUERADE | IP_NF_TARGET_MASQUERADE',
    purpose: WAY_OUT,
  },
  // In NF_CONNTRACK from 4.19 on.
  { of: 'dockerd', ifKnown: true, options: 'NF_CONNTRACK_IPV4', purpose: WAY_OUT },
  {
    of: 'dockerd',
    until: [7, 3],
    options: 'PROC_SYSCTL',
    purpose: 'forwarding between networks, which dockerd turns on',
  },
  { of: 'dockerd', since: [7, 3], options: 'SYSCTL', purpose: 'forwarding between networks, which dockerd turns on' },
  {
    of: 'dockerd',
    // The second is its name up to 5.1; the third does without xtables.
    options: 'NETFILTER_XT_TARGET_MASQUERADE | IP_NF_TARGET_MASQUERADE | NFT_MASQ',
    purpose: WAY_OUT,
  },
  { of: 'dockerd', options: 'NETFILTER_XT_NAT | NFT_NAT', purpose: 'published ports' },
  {
    of: 'dockerd',
    options: 'NETFILTER_XT_MATCH_ADDRTYPE NETFILTER_XT_MATCH_CONNTRACK',
    purpose: "the rules of docker's networks",
  },
  { of: 'dockerd', cgroup: 1, options: 'CGROUP_DEVICE', purpose: 'the devices that a container may use' },
  { of: 'dockerd', cgroup: 2, options: 'BPF_SYSCALL CGROUP_BPF', purpose: 'the devices that a container may use' },
]

const controllers: readonly Need[] = [
  { of: 'controller', options: 'MEMCG', purpose: 'docker run --memory' },
  { of: 'controller', cgroup: 1, since: [6, 11], options: 'MEMCG_V1', purpose: 'docker run --memory on cgroup v1' },
  { of: 'controller', until: [6, 1], options: 'MEMCG_SWAP', purpose: 'docker run --memory-swap' },
  { of: 'controller', options: 'CPUSETS', purpose: 'docker run --cpuset-cpus' },
  {
    of: 'controller',
    cgroup: 1,
    since: [6, 12],
    options: 'CPUSETS_V1',
    purpose: 'docker run --cpuset-cpus on cgroup v1',
  },
  { of: 'controller', options: 'CGROUP_SCHED FAIR_GROUP_SCHED', purpose: 'docker run --cpu-shares' },
  { of: 'controller', options: 'CFS_BANDWIDTH', purpose: 'docker run --cpus' },
  { of: 'controller', options: 'CGROUP_PIDS', purpose: 'docker run --pids-limit' },
  { of: 'controller', options: 'BLK_CGROUP BLK_DEV_THROTTLING', purpose: 'docker run --device-read-bps and its kin' },
  { of: 'controller', cgroup: 1, options: 'CGROUP_CPUACCT', purpose: 'docker stats' },
  { of: 'controller', cgroup: 1, options: 'CGROUP_FREEZER', purpose: 'docker pause' },
]

/** Of the guest, where its entry has any. */
export const MOUNTS: Need = { of: 'feature', options: 'FUSE_FS', purpose: 'directories of the machine outside: mounts' }

/** Of the kernel, where its entry has it look for memory that it has lost. */
export const LEAKS: Need = {
  of: 'guest',
  options: 'DEBUG_KMEMLEAK DEBUG_FS',
  purpose: 'memory that the kernel has lost: kernelReports: { kmemleak: true }',
}

const IPV6_RULES = 'the rules of networks with IPv6'

const features: readonly Need[] = [
  MOUNTS,
  { of: 'feature', options: 'SECCOMP SECCOMP_FILTER', purpose: "docker's filter of system calls" },
  { of: 'feature', options: 'USER_NS', purpose: 'user namespaces: userns-remap, rootless' },
  { of: 'feature', options: 'TUN', purpose: 'tap devices, in containers that make some' },
  { of: 'feature', options: 'VXLAN', purpose: 'overlay networks' },
  {
    of: 'feature',
    options: 'XFRM_USER INET_ESP CRYPTO_GCM CRYPTO_SEQIV NETFILTER_XT_MATCH_BPF',
    purpose: 'encrypted overlay networks',
  },
  {
    of: 'feature',
    options: 'IP_VS IP_VS_NFCT IP_VS_PROTO_TCP IP_VS_PROTO_UDP IP_VS_RR NETFILTER_XT_MATCH_IPVS NETFILTER_XT_MARK',
    purpose: "swarm's load balancing",
  },
  { of: 'feature', options: 'NF_TABLES NFT_COMPAT | IP_NF_MANGLE', purpose: "swarm's marks on packets" },
  {
    of: 'feature',
    options: 'NETFILTER_XT_TARGET_REDIRECT | IP_NF_TARGET_REDIRECT | NFT_REDIR',
    purpose: "swarm's published ports",
  },
  {
    of: 'feature',
    options: 'NF_CONNTRACK_FTP NF_NAT_FTP NF_CONNTRACK_TFTP NF_NAT_TFTP',
    purpose: 'FTP and TFTP out of a container',
  },
  { of: 'feature', options: 'DUMMY', purpose: 'internal macvlan networks' },
  { of: 'feature', options: 'MACVLAN', purpose: 'macvlan networks' },
  { of: 'feature', options: 'IPVLAN', purpose: 'ipvlan networks' },
  { of: 'feature', options: 'BRIDGE_VLAN_FILTERING', purpose: 'networks with VLANs' },
  { of: 'feature', options: 'IPV6', purpose: 'networks with IPv6' },
  {
    of: 'feature',
    options:
      'NF_TABLES NF_TABLES_IPV6 NFT_COMPAT | IP6_NF_IPTABLES IP6_NF_FILTER IP6_NF_NAT IP6_NF_MANGLE IP6_NF_RAW IP6_NF_TARGET_MASQUERADE',
    purpose: IPV6_RULES,
  },
  // In NFT_NAT from 5.1 on.
  {
    of: 'feature',
    ifKnown: true,
    options: 'NFT_CHAIN_NAT_IPV6 | IP6_NF_IPTABLES IP6_NF_FILTER IP6_NF_NAT',
    purpose: IPV6_RULES,
  },
  {
    of: 'feature',
    options: 'NF_TABLES NFT_COMPAT | IP_NF_RAW',
    purpose: 'published ports with docker 28 and later',
  },
  { of: 'feature', options: 'CGROUP_HUGETLB', purpose: 'limits of huge pages' },
  { of: 'feature', options: 'IOSCHED_BFQ BFQ_GROUP_IOSCHED', purpose: 'docker run --blkio-weight' },
  { of: 'feature', options: 'CGROUP_PERF', purpose: 'perf on the cgroup of a container' },
  {
    of: 'feature',
    cgroup: 1,
    options: 'CGROUP_NET_PRIO NET_CLS_CGROUP',
    purpose: "priorities and classes of a container's packets",
  },
  { of: 'feature', options: 'EXT4_FS_POSIX_ACL EXT4_FS_SECURITY', purpose: 'ACLs and file capabilities in images' },
]

/** Our own list of what a guest on this machine wants of its kernel, from 4.18 on. */
export function needsOn(request: MachineRequest): readonly Need[] {
  return [...guest(driverOptions(request)), ...request.arch.kernel.needs, ...dockerd, ...controllers, ...features]
}

/** No guest needs it; an image is made differently with it. */
const DEBUG_INFO = 'DEBUG_INFO'

/** Every option that the list asks for, or that something else depends on. */
export function neededOptions(arch: Architecture): ReadonlySet<string> {
  return new Set(
    [...needsOn({ arch, machine: 'auto' }), LEAKS].flatMap((need) => alternativesOf(need).flat()).concat(DEBUG_INFO),
  )
}
