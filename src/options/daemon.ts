import { isDeepStrictEqual } from 'node:util'
import * as v from 'valibot'
import { InvalidOptionError } from './errors.ts'
import { existingPath } from './guest-images.ts'
import { reasonFor } from './kernel-arguments.ts'

/** What the guest's dockerd is told, and what it reaches registries by. */
export interface DockerdOptions {
  /**
   * What it finds in its daemon.json, such as `{ 'live-restore': true }`: each key in place of the rootfs's own. Those that testkernels
   * needs itself are refused by name. @default none, but for the engine's own registry-mirrors and insecure-registries
   */
  readonly daemon?: DaemonOptions
  /** Its proxies, in place of those that this user's docker config.json has, or else the engine. @default 'inherit' */
  readonly proxy?: ProxyOption
  /**
   * The CAs that it trusts registries by: a directory laid out like /etc/docker/certs.d, of which it gets HOST/*.crt; or `none`.
   * @default 'inherit', this machine's /etc/docker/certs.d where there is one
   */
  readonly registryCertificates?: string
}

/** Where a proxy is, as dockerd's environment has it, and for which hosts, separated by commas, there is none. */
export interface ProxyAddresses {
  readonly http?: string | undefined
  readonly https?: string | undefined
  readonly no?: string | undefined
}

/** `inherit`: what this user's docker has, else the engine. */
export type ProxyOption = 'inherit' | 'none' | ProxyAddresses

const proxyAddresses = v.strictObject({
  http: v.optional(v.string()),
  https: v.optional(v.string()),
  no: v.optional(v.string()),
})

/** Not a union, whose complaint names no option; nor a list of words, whose complaint would quote a URL. */
const proxyOption = v.lazy((given) => (typeof given === 'string' ? v.string() : proxyAddresses))

/** Keys of a daemon.json, as dockerd has them. */
export type DaemonOptions = Readonly<Record<string, unknown>>

function isJson(value: { [key: string]: unknown }): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value)
  } catch {
    return false
  }
}

const daemonOption = v.pipe(
  v.record(v.string(), v.unknown()),
  v.check(isJson, 'keys of daemon.json with values that JSON can have'),
)

/** More does not fit where the guest merges it with the rootfs's (images/guest/agent/daemon-json.c). */
const MOST_BYTES = 65_535

/** Of the schema of an entry. */
export const dockerdFields = {
  daemon: v.optional(daemonOption, {}),
  proxy: v.optional(proxyOption, 'inherit'),
  registryCertificates: v.optional(v.string(), 'inherit'),
}

/** What is ours to say, and why. */
const RESERVED: ReadonlyMap<string, string> = new Map([
  ...reasonFor("the guest's dockerd is reached at the socket that it has without it", [
    'hosts',
    'tls',
    'tlsverify',
    'tlscacert',
    'tlscert',
    'tlskey',
  ]),
  ...reasonFor('its containerd is started before it', ['containerd']),
  ...reasonFor("its data are on the guest's own disk", ['data-root', 'graph']),
  ...reasonFor('its containerd has its state there as well', ['exec-root']),
  ...reasonFor("the guest's PID 1 sees to its end", ['pidfile']),
  // Not every dockerd knows it, and a password in it would be saved.
  ...reasonFor("the option 'proxy' sees to it", ['proxies']),
])

/** `init` of the entry: a name of what is PID 1, or a command. */
type Checked = Required<DockerdOptions> & { readonly init: string | readonly string[] }

/** @throws InvalidOptionError */
export function checkDockerd({ daemon, proxy, registryCertificates, init }: Checked, entry?: string): void {
  checkDaemon(daemon, init, entry)
  checkProxy(proxy, entry)
  if (!['inherit', 'none'].includes(registryCertificates))
    existingPath(registryCertificates, { purpose: "the option 'registryCertificates'", entry })
}

/** No error quotes what may have a password in it. */
function checkProxy(proxy: ProxyOption, entry: string | undefined): void {
  if (proxy === 'inherit' || proxy === 'none') return
  if (typeof proxy === 'string') {
    const what = "the option 'proxy' is neither 'inherit' nor 'none'"
    throw new InvalidOptionError({ what, entry, remedy: 'write { http, https, no } to name proxies' })
  }
  for (const scheme of ['http', 'https', 'no'] as const) {
    const fault = scheme === 'no' ? faultOfText(proxy.no ?? '') : faultOfProxy(proxy[scheme] ?? '')
    if (fault === undefined) continue
    const remedy = "write it as dockerd has it in HTTP_PROXY: { http: 'http://proxy.example.org:3128' }"
    throw new InvalidOptionError({ what: `the option 'proxy.${scheme}' ${fault}`, entry, remedy })
  }
}

/** What keeps a guest's dockerd from using a proxy at this URL, without a word of what is in it; undefined: it can. */
export function faultOfProxy(url: string): string | undefined {
  if (url === '') return undefined
  const { protocol, hostname, username, password } = URL.canParse(url) ? new URL(url) : ({} as Partial<URL>)
  if (!['http:', 'https:', 'socks5:'].includes(protocol ?? '') || hostname === '')
    return 'is no URL of http, https or socks5'
  if (!isPercentEncoded(`${username}${password}`)) return 'has a % in its user or password, which is to be written %25'
  if (`${username}${password}` !== '' && protocol !== 'http:')
    return 'has a user, whom only a proxy of http:// can be told here'
  return faultOfText(url)
}

function isPercentEncoded(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined
  } catch {
    return false
  }
}

function faultOfText(text: string): string | undefined {
  return /^[\x21-\x7e]*$/.test(text.replaceAll(', ', ',')) ? undefined : 'has blanks, or is not printable ASCII'
}

/** What dockerd does not know, or takes for nonsense, it says itself: versions differ. */
function checkDaemon(daemon: DaemonOptions, init: string | readonly string[], entry: string | undefined): void {
  const refuse = (what: string, remedy: string): never => {
    throw new InvalidOptionError({ what: `the option 'daemon' ${what}`, remedy, entry })
  }
  const keys = Object.keys(daemon)
  if (typeof init !== 'string' && keys.length > 0)
    refuse("is for the guest's dockerd, in place of which 'init' has another command", 'leave one of the two out')
  for (const key of keys) {
    const why = RESERVED.get(key)
    if (why !== undefined) refuse(`has ${JSON.stringify(key)}, which is not yours to give: ${why}`, 'leave it out')
  }
  if (Buffer.byteLength(JSON.stringify(daemon)) > MOST_BYTES)
    refuse(`has more than ${MOST_BYTES} bytes of JSON`, 'leave out what its daemon does not need')
  const { 'exec-opts': runtimeOptions, 'storage-driver': driver } = daemon
  const asksForSystemd = Array.isArray(runtimeOptions) && runtimeOptions.includes('native.cgroupdriver=systemd')
  if (asksForSystemd && init !== 'systemd')
    refuse(
      'has native.cgroupdriver=systemd in "exec-opts": the guest has no systemd',
      "leave it out, for cgroupfs, or set init: 'systemd'",
    )
  if (driver === 'btrfs' || driver === 'zfs')
    refuse(
      `has the "storage-driver" ${driver}, which is that of another file system than the guest's`,
      'leave it out, for overlay2',
    )
}
