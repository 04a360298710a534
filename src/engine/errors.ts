import { TestkernelsError } from '../errors/index.ts'

/** The address of the engine cannot be used: malformed, of a kind we do not speak, or of a context that is not there. */
export class EngineAddressInvalidError extends TestkernelsError {
  readonly code = 'ENGINE_ADDRESS_INVALID'
}

/** Nothing that speaks Docker's API answered at the address. */
export class EngineUnreachableError extends TestkernelsError {
  readonly code = 'ENGINE_UNREACHABLE'
}

/** The engine took a request, and did not answer it. */
export class EngineSilentError extends TestkernelsError {
  readonly code = 'ENGINE_SILENT'
}

/** The engine's socket is there, and this user may not open it. */
export class EngineNotPermittedError extends TestkernelsError {
  readonly code = 'ENGINE_NOT_PERMITTED'
}

/** The engine speaks an API older than what we need. */
export class EngineTooOldError extends TestkernelsError {
  readonly code = 'ENGINE_TOO_OLD'
}

/** The engine runs another operating system or processor than our images are for. */
export class EngineUnsupportedError extends TestkernelsError {
  readonly code = 'ENGINE_UNSUPPORTED'
}

/** The engine could not create or start a container. */
export class ContainerNotStartedError extends TestkernelsError {
  readonly code = 'CONTAINER_NOT_STARTED'
}

/** The engine did not make a network for VMs. */
export class NetworkNotMadeError extends TestkernelsError {
  readonly code = 'NETWORK_NOT_MADE'
}

/** On the network that a VM is to be on, another one has its name. */
export class NetworkNameTakenError extends TestkernelsError {
  readonly code = 'NETWORK_NAME_TAKEN'
}

/** A device that a container needs is not there on the engine's machine. */
export class DeviceMissingError extends TestkernelsError {
  readonly code = 'DEVICE_MISSING'
}

/** An image that should be in the engine's store is not. */
export class ImageMissingError extends TestkernelsError {
  readonly code = 'IMAGE_MISSING'
}

/** The engine could not pull an image. */
export class ImagePullError extends TestkernelsError {
  readonly code = 'IMAGE_PULL_FAILED'
}

/** The engine could not push an image. */
export class ImagePushError extends TestkernelsError {
  readonly code = 'IMAGE_PUSH_FAILED'
}

/** The engine did not take or give the content of an image. */
export class ImageTransferError extends TestkernelsError {
  readonly code = 'IMAGE_TRANSFER_FAILED'
}

/** The engine did not remove a container in time. */
export class ContainerNotRemovedError extends TestkernelsError {
  readonly code = 'CONTAINER_NOT_REMOVED'
}
