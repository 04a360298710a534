// All the set-up a fresh machine needs, in one place: npm packages, a reachable Docker engine, and the tool that makes a
// base image where no registry is reachable. Plain Node without packages, because it runs before `npm ci`.
//
// With an engine already there it installs nothing and starts nothing.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const ENGINE_START_DEADLINE_MS = 60_000
const PING_TIMEOUT_MS = 5_000
const APT_LOCK_TIMEOUT_S = 300
const DOCKERD_LOG = '/var/log/testkernels-dockerd.log'
const LOG_TAIL_LINES = 20

export async function setup() {
  installNpmPackages()
  await ensureEngine()
}

function say(line) {
  console.log(`[setup] ${line}`)
}

function installNpmPackages() {
  const stamp = join(root, 'node_modules/.package-lock.json')
  const lock = join(root, 'package-lock.json')
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return
  say('installing npm packages (npm ci)')
  // Without scripts, and so without ssh2's native parts: as those have it who install what scripts/package.mjs makes.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'])
}

async function ensureEngine() {
  const found = await findEngine()
  if (found) return say(`Docker engine found at ${found}; nothing to install`)
  if (process.env.DOCKER_HOST) {
    fail(`no Docker engine answers at DOCKER_HOST=${process.env.DOCKER_HOST}`, 'start it, or unset DOCKER_HOST')
  }
  if (process.getuid?.() !== 0) {
    fail('no Docker engine answers, and only root can install one', 'start Docker, or run this once as root')
  }
  const missing = missingPackages()
  if (missing.length > 0) installPackages(missing)
  await startEngine()
}

/** Debian packages by the program that proves each one is there. */
function missingPackages() {
  const wanted = { dockerd: 'docker.io', mmdebstrap: 'mmdebstrap' }
  return Object.entries(wanted)
    .filter(([program]) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0)
    .map(([, name]) => name)
}

function installPackages(names) {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  if (!/^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release)) {
    fail('no Docker engine answers, and this is neither Debian nor Ubuntu', 'install Docker and start it')
  }
  say(`no Docker engine answers; installing with apt-get: ${names.join(', ')}`)
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const waitForLock = ['-o', `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`]
  run('apt-get', ['update', '-qq', ...waitForLock], { env })
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...waitForLock, ...names], { env })
}

async function startEngine() {
  let ended
  if (existsSync('/run/systemd/system')) {
    say('starting the Docker engine (systemctl start docker)')
    run('systemctl', ['start', 'docker'], { remedy: 'see `journalctl -u docker`' })
  } else if (isRunning('/var/run/docker.pid', 'dockerd')) {
    say('waiting for the Docker engine that is starting')
  } else {
    // A pid file of before a crash names a process that is another's now, which dockerd takes for itself and gives up.
    isRunning('/var/run/docker/containerd/containerd.pid', 'containerd')
    say(`starting the Docker engine (dockerd, log: ${DOCKERD_LOG})`)
    const log = openSync(DOCKERD_LOG, 'w')
    const dockerd = spawn('dockerd', [], { detached: true, stdio: ['ignore', log, log] })
    dockerd.on('error', (error) => {
      ended = error.message
    })
    dockerd.on('exit', (code, signal) => {
      ended = `it ended with ${signal ?? `exit code ${code}`}`
    })
    dockerd.unref()
  }
  const deadline = Date.now() + ENGINE_START_DEADLINE_MS
  while (Date.now() < deadline) {
    const found = await findEngine()
    if (found) return say(`Docker engine answers at ${found}`)
    if (ended) fail(`the Docker engine did not start: ${ended}\n${dockerdLogTail()}`, `see ${DOCKERD_LOG}`)
    await delay(250)
  }
  const waited = `${ENGINE_START_DEADLINE_MS / 1000} s`
  fail(`the Docker engine did not answer within ${waited}\n${dockerdLogTail()}`, `see ${DOCKERD_LOG}`)
}

/** Whether the process of a pid file is the program it should be. The file is removed if not. */
function isRunning(pidFile, program) {
  if (!existsSync(pidFile)) return false
  const comm = `/proc/${readFileSync(pidFile, 'utf8').trim()}/comm`
  if (existsSync(comm) && readFileSync(comm, 'utf8').trim() === program) return true
  say(`removing ${pidFile}, which an engine that was killed left behind`)
  rmSync(pidFile)
  return false
}

function dockerdLogTail() {
  if (!existsSync(DOCKERD_LOG)) return ''
  return readFileSync(DOCKERD_LOG, 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')
}

/** @returns {Promise<string | undefined>} the address, or the context, of the engine that answered */
async function findEngine() {
  const { DOCKER_HOST, XDG_RUNTIME_DIR } = process.env
  const sockets = ['/var/run/docker.sock', `${XDG_RUNTIME_DIR}/docker.sock`, join(homedir(), '.docker/run/docker.sock')]
  const addresses = DOCKER_HOST ? [DOCKER_HOST] : sockets.filter(existsSync).map((path) => `unix://${path}`)
  for (const address of addresses) {
    const answer = await ping(address)
    if (answer === 'pong') return address
    if (answer === 'EACCES') {
      fail(
        `this user may not open the Docker engine's socket, ${address}`,
        'add the user to the group docker (`sudo usermod -aG docker $USER`, then log in again), or run as root',
      )
    }
  }
  // Contexts and TLS are the docker client's business.
  const client = spawnSync('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: PING_TIMEOUT_MS })
  return client.status === 0 ? (DOCKER_HOST ?? 'the current Docker context') : undefined
}

/** @returns {Promise<string>} `pong`, or the reason why not */
async function ping(address) {
  const url = new URL(address.replace(/^tcp:\/\/|^(?!\w+:\/\/)/, 'http://'))
  const target =
    url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: url.port || 2375 }
  return await new Promise((resolve) => {
    const probe = request({ ...target, path: '/_ping', timeout: PING_TIMEOUT_MS }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? 'pong' : `HTTP ${response.statusCode}`)
    })
    probe.on('timeout', () => probe.destroy(new Error('timeout')))
    probe.on('error', ({ code, message }) => resolve(code ?? message))
    probe.end()
  })
}

function run(command, args, { remedy = 'see its output above', ...options } = {}) {
  try {
    execFileSync(command, args, { stdio: 'inherit', cwd: root, ...options })
  } catch (cause) {
    fail(`${command} ${args.join(' ')} failed`, cause.code === 'ENOENT' ? `${command} is not installed` : remedy)
  }
}

function fail(what, remedy) {
  console.error(`[setup] ${what}\n[setup] remedy: ${remedy}`)
  process.exit(1)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await setup()
