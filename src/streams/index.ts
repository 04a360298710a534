export { datagramsIn, frameOf } from './datagrams.ts'
export { type DoorOptions, doorStreams, makeDoorSecret, readFirstLine, waitForDoor } from './door.ts'
export { SshAccess, sshStreams } from './ssh.ts'
export {
  type Destination,
  DoorDeniedError,
  destinationText,
  type OpenOptions,
  StreamRefusedError,
  type Streams,
  StreamsLostError,
} from './streams.ts'
