import { TestkernelsError } from '../../errors/index.ts'

/** Files could not be sent to the engine, or taken from it. */
export class TransferError extends TestkernelsError {
  readonly code = 'TRANSFER_FAILED'

  constructor(what: string) {
    super({ what, remedy: "look into the engine's log for the reason, and build again" })
  }
}
