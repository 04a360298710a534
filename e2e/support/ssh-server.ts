// An SSH server in a container that has an engine's socket, and an `ssh` that reaches it: an engine at ssh://lab.
import { execFile } from 'node:child_process'
import { chmod, readFile, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)
export const SSH_SERVER_IMAGE = 'testkernels-e2e/sshd'
const BUILD_DEADLINE_MS = 240_000
/** The base image is there once an image of a VM was built. */
const dockerfile = `FROM testkernels/base:trixie
RUN apt-get update && apt-get install -y --no-install-recommends openssh-server docker-cli && mkdir -p /run/sshd
CMD ["/usr/sbin/sshd", "-D", "-e"]
`

/** @param directory gets the Dockerfile */
export async function buildSshServer(directory: string): Promise<void> {
  await writeFile(join(directory, 'Dockerfile'), dockerfile)
  const env = { ...process.env, DOCKER_BUILDKIT: '0' }
  await run('docker', ['build', '--tag', SSH_SERVER_IMAGE, directory], { env, timeout: BUILD_DEADLINE_MS })
}

export interface SshServerOptions {
  /** The docker command line of the engine that it runs on. */
  readonly docker: (...args: string[]) => Promise<string>
  /** The engine's socket, on the engine's machine. */
  readonly socket: string
  /** How it is reached: arguments of `docker run`. */
  readonly network: readonly string[]
  /** Gets a key, which the server knows. */
  readonly directory: string
}

/** @returns the server's container, and the public key that it has for its own */
export async function startSshServer({
  docker,
  socket,
  network,
  directory,
}: SshServerOptions): Promise<{ readonly container: string; readonly hostKey: string }> {
  const volume = `${socket}:/var/run/docker.sock`
  const container = await docker('run', '--detach', ...network, '--volume', volume, SSH_SERVER_IMAGE)
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(directory, 'key')])
  const authorized = (await readFile(join(directory, 'key.pub'), 'utf8')).trim()
  const script = `mkdir -p -m 700 /root/.ssh && echo '${authorized}' > /root/.ssh/authorized_keys`
  await docker('exec', container, 'sh', '-c', script)
  return { container, hostKey: await docker('exec', container, 'cat', '/etc/ssh/ssh_host_ed25519_key.pub') }
}

export interface SshClientOptions {
  /** Has the server's key; gets an `ssh`. */
  readonly directory: string
  readonly address: string
  readonly port: string
  readonly hostKey: string
  /** More names of the server, and how the client proves who it is there: lines of ssh_config, which go before the others. @default none */
  readonly more?: Readonly<Record<string, string>>
}

/**
 * Makes an `ssh` with a configuration of its own: OpenSSH's is in the home of the user, whatever HOME says.
 * @returns what has programs use it, with the engine at ssh://lab
 */
export async function makeSshClient({
  directory,
  address,
  port,
  hostKey,
  more = {},
}: SshClientOptions): Promise<Readonly<Record<string, string>>> {
  await writeFile(join(directory, 'known_hosts'), `[${address}]:${port} ${hostKey}\n${address} ${hostKey}\n`)
  const server = [`HostName ${address}`, `Port ${port}`, 'User root', `UserKnownHostsFile ${directory}/known_hosts`]
  const proofs = { lab: `IdentityFile ${directory}/key`, ...more }
  const hosts = Object.entries(proofs).map(([name, proof]) => [`Host ${name}`, proof, ...server, ''].join('\n'))
  await writeFile(join(directory, 'config'), hosts.join('\n'))
  await writeFile(join(directory, 'ssh'), `#!/bin/sh\nexec /usr/bin/ssh -F ${directory}/config "$@"\n`)
  await chmod(join(directory, 'ssh'), 0o755)
  return { DOCKER_HOST: 'ssh://lab', PATH: `${directory}${delimiter}${process.env['PATH']}` }
}
