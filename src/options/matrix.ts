import { DuplicateEntryError, InvalidOptionError } from './errors.ts'
import { type KernelEntry, type KernelOptions, parseKernelEntry } from './kernel-entry.ts'

/** A matrix as a user writes it: entries by name, or a list of entries that carry theirs. */
export type KernelMatrix =
  | { readonly [name: string]: KernelOptions }
  | readonly (KernelOptions & { readonly name: string })[]

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
