export { type DoorOptions, doorStreams, makeDoorSecret, readFirstLine, waitForDoor } from './door.ts'
export { MOST_AT_THE_DOOR, SshAccess, sparingStreams } from './ssh.ts'
export {
  type Destination,
  DoorDeniedError,
  datagramsIn,
  destinationText,
  type Family,
  frameOf,
  type OpenOptions,
  StreamRefusedError,
  type Streams,
  StreamsLostError,
} from './streams.ts'
