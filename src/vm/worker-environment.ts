/** Variables for a process whose Docker clients shall talk to a VM; `undefined` means: must not be set. */
export type WorkerEnvironment = Readonly<Record<string, string | undefined>>

/**
 * The environment that points the docker command line, dockerode and Testcontainers at a VM.
 * @param dockerHost `unix://` and the path of the forwarded socket
 * @param address where ports that containers publish are reached
 */
export function workerEnvironment({ dockerHost, address }: { dockerHost: string; address: string }): WorkerEnvironment {
  return {
    DOCKER_HOST: dockerHost,
    // For a unix socket Testcontainers would look for published ports on localhost.
    TESTCONTAINERS_HOST_OVERRIDE: address,
    // Where the socket is for a container in the VM; else Testcontainers mounts the host's path.
    TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE: '/var/run/docker.sock',
    // The VM is its own reaper: everything in it goes with it.
    TESTCONTAINERS_RYUK_DISABLED: 'true',
    DOCKER_TLS_VERIFY: undefined,
    DOCKER_CERT_PATH: undefined,
    DOCKER_CONTEXT: undefined,
  }
}
