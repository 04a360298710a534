import { TestkernelsError } from '../errors/index.ts'

/** An option has a value that it cannot have, or a name that no option has. */
export class InvalidOptionError extends TestkernelsError {
  readonly code = 'INVALID_OPTION'
}

/** A kernel reference names no kernel that we know how to get. */
export class UnknownKernelError extends TestkernelsError {
  readonly code = 'UNKNOWN_KERNEL'
}

/** Two entries of a matrix have the same name. */
export class DuplicateEntryError extends TestkernelsError {
  readonly code = 'DUPLICATE_ENTRY'
}
