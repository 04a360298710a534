export interface ForkOptions {
  /** Cancels the start; what was started is ended. */
  readonly signal?: AbortSignal
}

/** Starts a clone. */
export type Fork<Vm> = (options?: ForkOptions) => Promise<Vm>
