/** A kernel's `.config`, as far as anybody asks for it. */
export interface KernelConfig {
  /** Of the kernel that it was made for, from its head. */
  readonly version: KernelVersion | undefined
  /** `y` and `m` by option, without `CONFIG_`; what is off or unknown is not there. */
  readonly options: Readonly<Record<string, 'y' | 'm'>>
}

/** `6.12`: options come and go with these, never with a stable release. */
export type KernelVersion = readonly [major: number, minor: number]

/** Reads a `.config`: all of it, or only the options that are `wanted`. */
export function parseKernelConfig(text: string, wanted?: ReadonlySet<string>): KernelConfig {
  const options: Record<string, 'y' | 'm'> = {}
  for (const [, name = '', value] of text.matchAll(/^CONFIG_(\w+)=([ym])$/gm)) {
    if (wanted === undefined || wanted.has(name)) options[name] = value === 'y' ? 'y' : 'm'
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
