import * as v from 'valibot'
import type { KernelConfig } from './kernel-config.ts'
import { parseVersion } from './kernel-config.ts'

/** What is known of a kernel before it boots. */
export interface KernelFacts {
  /** What `uname -r` says in the guest. */
  readonly release: string
  /** Whether there are modules on its disk: an option that is `m` counts for nothing without. */
  readonly modules: 'present' | 'absent'
  /** Undefined for a kernel that came without its config. */
  readonly config: KernelConfig | undefined
}

const names = v.array(v.string())
const schema = v.strictObject({
  release: v.string(),
  modules: v.picklist(['present', 'absent']),
  version: v.optional(v.string()),
  y: v.optional(names),
  m: v.optional(names),
})

/** One line of text, for an image's label. */
export function formatKernelFacts({ release, modules, config }: KernelFacts): string {
  if (config === undefined) return JSON.stringify({ release, modules })
  const withValue = (value: 'y' | 'm') => Object.keys(config.options).filter((name) => config.options[name] === value)
  const version = config.version?.join('.')
  return JSON.stringify({ release, modules, version, y: withValue('y'), m: withValue('m') })
}

/** Undefined for what `formatKernelFacts` did not write, or one of another time did. */
export function parseKernelFacts(text: string): KernelFacts | undefined {
  const parsed = v.safeParse(schema, fromJson(text))
  if (!parsed.success) return undefined
  const { release, modules, version = '', y, m } = parsed.output
  if (y === undefined || m === undefined) return { release, modules, config: undefined }
  const options = Object.fromEntries([
    ...y.map((name) => [name, 'y'] as const),
    ...m.map((name) => [name, 'm'] as const),
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
