import { TestkernelsError } from '../errors/index.ts'

/** The command to run is not there, or cannot be executed. */
export class CommandNotFoundError extends TestkernelsError {
  readonly code = 'COMMAND_NOT_FOUND'
}

/** The file of `--matrix` cannot be read, or exports no matrix. */
export class MatrixFileError extends TestkernelsError {
  readonly code = 'MATRIX_FILE'
}
