import { DuplicateEntryError, InvalidOptionError } from './errors.ts'
import { type KernelEntry, type KernelOptions, parseKernelEntry } from './kernel-entry.ts'

/** The options of an entry, and its name. */
export type NamedKernelOptions = KernelOptions & { readonly name: string }

/** A matrix as a user writes it: entries by name, or a list of entries that carry theirs, such as `kernelMatrix` makes. */
export type KernelMatrix = { readonly [name: string]: KernelOptions } | readonly NamedKernelOptions[]

/**
 * Checks a whole matrix before anything is started.
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function parseMatrix(matrix: KernelMatrix): readonly KernelEntry[] {
  const rows: [string, unknown][] = Array.isArray(matrix)
    ? matrix.map(({ name, ...options }) => [String(name), options])
    : Object.entries(matrix)
  if (rows.length === 0) {
    throw new InvalidOptionError({
      what: 'the matrix has no entry',
      remedy: "add one, such as { v2: { kernel: 'debian:trixie' } }",
    })
  }
  const entries = rows.map(([name, options]) => parseKernelEntry(name, options))
  const twice = entries.find((entry, index) => entries.findIndex(({ name }) => name === entry.name) !== index)
  if (twice) {
    throw new DuplicateEntryError({
      what: `two entries are named '${twice.name}'`,
      remedy: 'give each entry a name of its own',
    })
  }
  return Object.freeze(entries)
}

/**
 * The same, checked, as plain data that can travel: `parseMatrix` reads it again elsewhere.
 * @throws InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export function matrixRows(matrix: KernelMatrix): readonly NamedKernelOptions[] {
  return parseMatrix(matrix).map(plainOptions)
}

function plainOptions({
  reference: _,
  rootfsReference: __,
  preload: ___,
  init,
  ...row
}: KernelEntry): NamedKernelOptions {
  return { ...row, ...(init !== undefined && { init }) }
}
