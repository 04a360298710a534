import { TestkernelsError } from '../errors/index.ts'

/** The command to run is not there, or cannot be executed. */
export class CommandNotFoundError extends TestkernelsError {
  readonly code = 'COMMAND_NOT_FOUND'
}
