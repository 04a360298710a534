import { TestkernelsError } from '../errors/index.ts'

/** No connection was made before the caller's signal aborted, or the two ends have no algorithm in common. */
export class SshConnectFailedError extends TestkernelsError {
  readonly code = 'SSH_CONNECT_FAILED'
}

/** Another server than the VM's answered. Never retried. */
export class SshHostKeyMismatchError extends TestkernelsError {
  readonly code = 'SSH_HOST_KEY_MISMATCH'
}

/** The server does not accept our key for the user. Never retried. */
export class SshAuthFailedError extends TestkernelsError {
  readonly code = 'SSH_AUTH_FAILED'
}

/** The connection broke: nobody on this side closed it. */
export class SshConnectionLostError extends TestkernelsError {
  readonly code = 'SSH_CONNECTION_LOST'
}

/** The connection was used after its close(). */
export class SshConnectionClosedError extends TestkernelsError {
  readonly code = 'SSH_CONNECTION_CLOSED'
}

/** The guest did not let us connect to a socket or a port, or did not open a session. */
export class SshChannelRefusedError extends TestkernelsError {
  readonly code = 'SSH_CHANNEL_REFUSED'
}

/** The guest did not run a command, or did not say how it ended. */
export class SshExecFailedError extends TestkernelsError {
  readonly code = 'SSH_EXEC_FAILED'
}

/** A program in the guest wrote more than is kept in memory. */
export class SshOutputTooLongError extends TestkernelsError {
  readonly code = 'SSH_OUTPUT_TOO_LONG'
}
