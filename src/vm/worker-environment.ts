import type { ForwardAddress } from '../forward/index.ts'
import { forwardVariable } from '../options/index.ts'

/** Variables for a process whose Docker clients shall talk to a VM; `undefined` means: must not be set. */
export type WorkerEnvironment = Readonly<Record<string, string | undefined>>

/** Where a VM's dockerd and its containers' ports are. */
export interface VmAddresses {
  /** `unix://` and the path of the forwarded socket. */
  readonly dockerHost: string
  /** Of this machine or reached from it: containers' ports are there. */
  readonly address: string
  /** Sockets and ports of the guest that its entry asks for, by name. */
  readonly forwards: Readonly<Record<string, ForwardAddress>>
}

/** Where an entrance is. One that takes the place of another has the same, so that clients notice nothing. */
export interface EntrancePlace {
  /** For its sockets: of this user, with mode 0700. */
  readonly directory: string
  /** For ports that containers publish: of this machine's loopback, and nobody else's. */
  readonly address: string
  /** What the one before had for the entry's `forwards`: ports of this machine, which are taken again. @default none */
  readonly former?: VmAddresses['forwards'] | undefined
}

/** One more way into a VM, beside its own, until it is disposed. */
export interface Entrance extends VmAddresses, AsyncDisposable {}

/** The environment that points the docker command line, dockerode and Testcontainers at a VM. */
export function workerEnvironment({ dockerHost, address, forwards }: VmAddresses): WorkerEnvironment {
  return {
    DOCKER_HOST: dockerHost,
    // For a unix socket Testcontainers looks for published ports on localhost.
    TESTCONTAINERS_HOST_OVERRIDE: address,
    // Where the socket is for a container in the VM; else Testcontainers mounts the host's path.
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: '/var/run/docker.sock',
    // The VM is its own reaper: everything in it goes with it.
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    DOCKER_TLS_VERIFY: undefined,
    DOCKER_CERT_PATH: undefined,
    DOCKER_CONTEXT: undefined,
    ...Object.fromEntries(Object.values(forwards).map((forward) => [forwardVariable(forward.name), forward.address])),
  }
}
