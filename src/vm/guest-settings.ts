import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { reasonOf } from '../errors/index.ts'
import type { RegistryAccess } from '../host/index.ts'
import type { Logger } from '../log/index.ts'
import {
  type DaemonOptions,
  faultOfProxy,
  InvalidOptionError,
  type KernelEntry,
  kernelWords,
  looksForLeaks,
  type ProxyAddresses,
} from '../options/index.ts'
import { type GuestFile, type GuestProxy, guestLink, imagePaths, type Machine } from '../qemu/index.ts'

/** What the guest's dockerd is told beside what its rootfs says. */
export interface GuestSettings {
  /**
   * Given to a guest that boots, over its control port before its dockerd is started; it waits for them (images/guest/agent/settings.c). A
   * saved guest has them, so the template's key has their digest.
   */
  readonly files: readonly GuestFile[]
  /** Proxies that ask for a password, which a guest is told when it runs, and a saved one has not. */
  readonly proxies: readonly GuestProxy[]
}

/** In the guest: images/guest/agent/daemon-json.c and command.c. The first yields to the rootfs's daemon.json, the second goes before it. */
const DAEMON_DEFAULTS = '/.testkernels/etc/daemon-defaults.json'
const DAEMON_JSON = '/.testkernels/etc/daemon.json'
const ENVIRONMENT = '/.testkernels/etc/environment'
const CERTIFICATES = '/etc/docker/certs.d'

export interface SettingsContext {
  readonly access: RegistryAccess
  /** Of the network that VMs' boxes are on. */
  readonly networkMtu: number
  /** Is told what of the host's no guest can have. */
  readonly log: Pick<Logger, 'warn'>
  /** What `inherit` takes CAs from. @default '/etc/docker/certs.d' */
  readonly certificates?: string
}

/** @returns undefined where there is nothing to tell a guest */
export async function guestSettings(
  {
    name,
    daemon,
    proxy,
    registryCertificates,
  }: Pick<KernelEntry, 'name' | 'daemon' | 'proxy' | 'registryCertificates'>,
  { access, networkMtu, log, certificates = CERTIFICATES }: SettingsContext,
): Promise<GuestSettings | undefined> {
  const { environment, proxies } = proxySettings(proxiesOf(proxy, { access, log }))
  const files: GuestFile[] = [
    ...jsonFile(DAEMON_DEFAULTS, inheritedDaemon(access, networkMtu)),
    ...jsonFile(DAEMON_JSON, daemon),
    ...(environment.length === 0 ? [] : [{ path: ENVIRONMENT, content: `${environment.join('\n')}\n` }]),
    ...(await certificatesIn(registryCertificates, { certificates, log, entry: name })),
  ]
  return files.length === 0 ? undefined : { files, proxies }
}

/** What the guest's kernel is told: that there are settings to wait for, and which. */
export function settingsWords(settings: GuestSettings | undefined): readonly string[] {
  if (settings === undefined) return []
  const digest = createHash('sha256').update(JSON.stringify(settings.files)).digest('hex').slice(0, 32)
  return [`testkernels.settings=${digest}`]
}

function jsonFile(path: string, keys: DaemonOptions): readonly GuestFile[] {
  return Object.keys(keys).length === 0 ? [] : [{ path, content: JSON.stringify(keys) }]
}

/** What the host has of its own at a loopback address no guest reaches there. */
function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d+){3}|\[?::1\]?)$/i.test(host)
}

/** That of dockerd, and of its default bridge. */
const DOCKERD_MTU = 1500

/** dockerd reads the MTU when it starts: where the host's is not its own, saved VMs have it, and are found by it. */
function inheritedDaemon({ mirrors, insecure }: RegistryAccess, mtu: number): DaemonOptions {
  const reached = mirrors.filter((url) => URL.canParse(url) && !isLoopback(new URL(url).hostname))
  return {
    ...(reached.length > 0 && { 'registry-mirrors': reached }),
    ...(insecure.length > 0 && { 'insecure-registries': insecure }),
    ...(mtu !== DOCKERD_MTU && { mtu }),
  }
}

function proxiesOf(
  proxy: KernelEntry['proxy'],
  { access, log }: Pick<SettingsContext, 'access' | 'log'>,
): ProxyAddresses {
  if (proxy === 'none') return {}
  if (proxy !== 'inherit') return proxy
  const usable = (scheme: 'http' | 'https') => {
    const url = access.proxies[scheme]
    const fault = faultOfInherited(url ?? '')
    if (fault === undefined) return url
    log.warn(
      `the ${scheme} proxy of ${access.proxies.from} ${fault}: the guest has none; the option proxy names one, or is 'none'`,
    )
    return undefined
  }
  return { http: usable('http'), https: usable('https'), no: access.proxies.no?.replaceAll(/\s/g, '') }
}

function faultOfInherited(url: string): string | undefined {
  if (/\/\/xxxxx:xxxxx@/.test(url)) return 'has a password, which an engine does not tell'
  if (URL.canParse(url) && isLoopback(new URL(url).hostname)) return 'is at a loopback address, which no guest reaches'
  return faultOfProxy(url)
}

const RELAY = `http://127.0.0.1:${guestLink.relayPort}`

/** What is in dockerd's environment, and with it in a template, names the relay in place of a proxy with a password. */
function proxySettings({ http, https, no }: ProxyAddresses): {
  readonly environment: readonly string[]
  readonly proxies: readonly GuestProxy[]
} {
  const relayed = Object.entries({ http, https }).flatMap(([scheme, url]) =>
    relayedProxy(scheme as 'http' | 'https', url),
  )
  const address = (scheme: string, url: string | undefined) =>
    relayed.some((one) => one.scheme === scheme) ? RELAY : url
  const variables = { HTTP_PROXY: address('http', http), HTTPS_PROXY: address('https', https), NO_PROXY: no }
  const set = Object.entries(variables).flatMap(([name, value]) => (value ? [`${name}=${value}`] : []))
  return { environment: http || https ? set : [], proxies: relayed }
}

function relayedProxy(scheme: 'http' | 'https', url: string | undefined): readonly GuestProxy[] {
  if (!url) return []
  const { hostname, port, username, password } = new URL(url)
  if (`${username}${password}` === '') return []
  const user = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  return [{ scheme, host: hostname, port: Number(port || 80), credentials: Buffer.from(user).toString('base64') }]
}

/**
 * The CAs of a directory like /etc/docker/certs.d. Keys of clients stay where they are. Of this machine's own, what cannot be read is left
 * out with a warning: its dockerd does as much.
 * @throws InvalidOptionError for what cannot be read in a directory that the entry names
 */
async function certificatesIn(
  chosen: string,
  {
    certificates,
    log,
    entry,
  }: { readonly certificates: string; readonly log: Pick<Logger, 'warn'>; readonly entry: string },
): Promise<readonly GuestFile[]> {
  if (chosen === 'none') return []
  const directory = chosen === 'inherit' ? certificates : resolve(chosen)
  const unreadable = (path: string) => (cause: NodeJS.ErrnoException) => {
    if (chosen === 'inherit') {
      // That this machine has none is as it may be.
      if (path !== directory) log.warn(`${path} cannot be read, so no guest has it: ${reasonOf(cause)}`)
      return undefined
    }
    const what = `${path} of the option 'registryCertificates' cannot be read`
    throw new InvalidOptionError({ what, entry, remedy: 'let this user read it, or name another directory', cause })
  }
  const files: GuestFile[] = []
  const hosts = (await readdir(directory, { withFileTypes: true }).catch(unreadable(directory))) ?? []
  for (const { name: host } of hosts
    .filter((one) => !one.isFile())
    .sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const names = (await readdir(join(directory, host)).catch(unreadable(join(directory, host)))) ?? []
    for (const name of names.filter((one) => one.endsWith('.crt')).sort()) {
      const path = join(directory, host, name)
      const content = await readFile(path, 'utf8').catch(unreadable(path))
      if (content !== undefined) files.push({ path: `${CERTIFICATES}/${host}/${name}`, content })
    }
  }
  return files
}

/** Names of the sockets in the run directory that the container makes: two of QEMU's, and two of the door. The last is the longest. */
export const CONTROL_SOCKET = 'control.sock'
export const MONITOR_SOCKET = 'monitor.sock'
export const DOOR_SOCKET = 'door.sock'
export const HOST_PORTS_SOCKET = 'host-ports.sock'

/** What of a machine is settled by more than its entry. */
type MachineChoice = Required<
  Pick<Machine, 'arch' | 'transport' | 'generation' | 'accelerator' | 'ipv6' | 'preload'>
> & {
  readonly settings: GuestSettings | undefined
}

/**
 * The machine of a plan, which is made once: the template's key digests it, and the box runs it. An option that only one of the two
 * knew would restore a guest into another machine than it was saved on.
 */
export function machineOf(
  { memoryMib, cpus, cgroup, network, kernelReports, ...kernel }: KernelEntry,
  { arch, transport, generation, accelerator, ipv6, preload, settings }: MachineChoice,
): Machine {
  return {
    arch,
    transport,
    generation,
    accelerator,
    memoryMib,
    cpus,
    cgroup,
    kernelArguments: [
      ...kernelWords(kernel),
      // Some kernels have it off until they are told; and a saved guest has looked at what it had lost by then.
      ...(looksForLeaks(kernelReports) ? ['kmemleak=on'] : []),
      ...settingsWords(settings),
    ],
    ipv6,
    preload,
    vmNetwork: network === 'none' ? 'none' : 'device',
    controlSocket: `${imagePaths.runDirectory}/${CONTROL_SOCKET}`,
    monitorSocket: `${imagePaths.runDirectory}/${MONITOR_SOCKET}`,
  }
}
