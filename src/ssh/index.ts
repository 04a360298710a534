export type { Terminal, WindowSize } from './channels.ts'
export { connectSsh, type SshConnectOptions } from './connect.ts'
export type { SshConnection } from './connection.ts'
export {
  SshAuthFailedError,
  SshChannelRefusedError,
  SshConnectFailedError,
  SshConnectionClosedError,
  SshConnectionLostError,
  SshExecFailedError,
  SshHostKeyMismatchError,
  SshOutputTooLongError,
} from './errors.ts'
export { dropbearPrivateKey, generateKeyPair, opensshPrivateKey, publicKeyLine, type SshKeyPair } from './keys.ts'
export {
  type ExecOptions,
  type ExecResult,
  type ExitStatus,
  type RemoteProcess,
  type SpawnOptions,
  shellCommand,
  shellWord,
} from './spawn.ts'
