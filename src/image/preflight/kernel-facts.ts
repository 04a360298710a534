import * as v from 'valibot'

/** A kernel's `.config`, as far as anybody asks for it. */
interface KernelConfig {
  /** Of the kernel that it was made for, from its head. */
  readonly version: KernelVersion | undefined
  /** By option, without `CONFIG_`. `n` is one that the kernel could have; what it does not know, or cannot have, is not there. */
  readonly options: Readonly<Record<string, OptionValue>>
}

type OptionValue = 'y' | 'm' | 'n'

/** `6.12`: options come and go with these, never with a stable release. */
export type KernelVersion = readonly [major: number, minor: number]

/** Reads a `.config`: all of it, or only the options that are `wanted`. */
export function parseKernelConfig(text: string, wanted?: ReadonlySet<string>): KernelConfig {
  const options: Record<string, OptionValue> = {}
  for (const [, off, on, value] of text.matchAll(/^(?:# CONFIG_(\w+) is not set|CONFIG_(\w+)=([ym]))$/gm)) {
    const name = off ?? on ?? ''
    if (wanted === undefined || wanted.has(name)) options[name] = value === 'y' || value === 'm' ? value : 'n'
  }
  const [, head = ''] = /^# Linux\/\S+ (\S+) Kernel Configuration$/m.exec(text) ?? []
  return { version: parseVersion(head), options }
}

/** Of `6.12.117+deb13-cloud` or `6.13-rc1`. */
export function parseVersion(release: string): KernelVersion | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(release) ?? []
  return major === undefined ? undefined : [Number(major), Number(minor)]
}

export function isBefore([major, minor]: KernelVersion, [otherMajor, otherMinor]: KernelVersion): boolean {
  return major < otherMajor || (major === otherMajor && minor < otherMinor)
}

/** What is known of a kernel before it boots. */
export interface KernelFacts {
  /** What `uname -r` says in the guest. */
  readonly release: string
  /** Whether there are modules on its disk: an option that is `m` counts for nothing without. */
  readonly modules: 'present' | 'absent'
  /** Undefined for a kernel that came without its config. */
  readonly config: KernelConfig | undefined
}

/** That of its config, or the one in its name. */
export function versionOf({ config, release }: KernelFacts): KernelVersion | undefined {
  return config?.version ?? parseVersion(release)
}

/** Whether a guest has an option: its driver is built in, or a module that is there. */
export function hasOption({ config, modules }: KernelFacts, name: string): boolean {
  const value = config?.options[name]
  return value === 'y' || (value === 'm' && modules === 'present')
}

/**
 * Whether the kernel has an option that may be on or off. Kernels of distributions have later code under an old number: their config knows what is
 * in it, and their version does not.
 */
export function knowsOption({ config }: KernelFacts, name: string): boolean {
  return config?.options[name] !== undefined
}

const names = v.array(v.string())
const schema = v.strictObject({
  release: v.string(),
  modules: v.picklist(['present', 'absent']),
  version: v.optional(v.string()),
  y: v.optional(names),
  m: v.optional(names),
  n: v.optional(names),
})

/** One line of text, for an image's label. */
export function formatKernelFacts({ release, modules, config }: KernelFacts): string {
  if (config === undefined) return JSON.stringify({ release, modules })
  const withValue = (value: OptionValue) => Object.keys(config.options).filter((name) => config.options[name] === value)
  const version = config.version?.join('.')
  return JSON.stringify({ release, modules, version, y: withValue('y'), m: withValue('m'), n: withValue('n') })
}

/** Undefined for what `formatKernelFacts` did not write, or one of another time did. */
export function parseKernelFacts(text: string): KernelFacts | undefined {
  const parsed = v.safeParse(schema, fromJson(text))
  if (!parsed.success) return undefined
  const { release, modules, version = '', y, m, n = [] } = parsed.output
  if (y === undefined || m === undefined) return { release, modules, config: undefined }
  const options = Object.fromEntries([
    ...y.map((name) => [name, 'y'] as const),
    ...m.map((name) => [name, 'm'] as const),
    ...n.map((name) => [name, 'n'] as const),
  ])
  return { release, modules, config: { version: parseVersion(version), options } }
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
