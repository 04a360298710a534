export { type Buildkit, type ConnectOptions, connectBuildkit } from './client.ts'
export * from './graph.ts'
export { BuildkitUnreachableError, BuildkitUnsupportedError, EngineGoneError } from './grpc.ts'
export * from './progress/index.ts'
export { LocalDirError, localDirs } from './session/local-dirs.ts'
export { TransferError } from './session/message-stream.ts'
export {
  CredentialHelperError,
  credentialsFor,
  DockerConfigError,
  type RegistryAuthOptions,
  registryAuth,
} from './session/registry-auth.ts'
export { SecretError, type SecretSource, type SecretsOptions, secrets } from './session/secrets.ts'
export type { Attachable } from './session/services.ts'
export { NotUtf8Error } from './session/walk.ts'
export type { RemoteImage, RemoteImageRequest } from './solve/as-frontend.ts'
export { type DockerfileOptions, type DockerfileSolve, dockerfileSolve } from './solve/dockerfile.ts'
export type { Exporter } from './solve/exporter.ts'
export * as exporters from './solve/exporter.ts'
export { CacheDirectoryError, SolveCancelledError, SolveError } from './solve/failure.ts'
export type { CacheEntry, SolveRequest, SolveResult } from './solve/request.ts'
export type { PruneOptions, UsageOptions, UsageRecord, Worker } from './store.ts'
export type { Address, DialAddress, Endpoint, TlsMaterial } from './transport/endpoint.ts'
export { type BuildkitdEndpointOptions, buildkitdEndpoint } from './transport/open.ts'
