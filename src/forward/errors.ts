import { TestkernelsError } from '../errors/index.ts'

/** The directory of a forwarded socket would let others reach it. */
export class ForwardDirectoryNotPrivateError extends TestkernelsError {
  readonly code = 'FORWARD_DIRECTORY_NOT_PRIVATE'
}

/** The path of a forwarded socket does not fit into a socket address. */
export class ForwardPathTooLongError extends TestkernelsError {
  readonly code = 'FORWARD_PATH_TOO_LONG'
}

/** Something is at the path of a forwarded socket already. */
export class ForwardPathTakenError extends TestkernelsError {
  readonly code = 'FORWARD_PATH_TAKEN'
}

/** A connection ended in the guest while its client waited for an answer, or for the rest of one. */
export class ForwardBrokenError extends TestkernelsError {
  readonly code = 'FORWARD_BROKEN'
}

/** A container is to have a path mounted that this machine has and its guest does not. */
export class BindNotMountedError extends TestkernelsError {
  readonly code = 'BIND_NOT_MOUNTED'
}

/** A container is to publish a port of the guest that is ours. */
export class PortReservedError extends TestkernelsError {
  readonly code = 'PORT_RESERVED'
}

/** The local end of a forward cannot be opened. */
export class ForwardListenError extends TestkernelsError {
  readonly code = 'FORWARD_LISTEN_FAILED'
}

/** A port of this machine that an entry asks for by number cannot be opened. */
export class ForwardPortTakenError extends TestkernelsError {
  readonly code = 'FORWARD_PORT_TAKEN'
}

/** A port of this machine cannot be opened for a guest. */
export class HostPortNotOpenedError extends TestkernelsError {
  readonly code = 'HOST_PORT_NOT_OPENED'
}

/** A port that a container publishes cannot be opened on this machine. */
export class PortNotForwardedError extends TestkernelsError {
  readonly code = 'PORT_NOT_FORWARDED'
}
