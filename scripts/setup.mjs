// All the set-up a fresh machine needs, in one place: npm packages, a reachable Docker engine, and the tool that makes a
// base image where no registry is reachable. Plain Node without packages, because it runs before `npm ci`.
//
// With an engine already there it installs nothing and starts nothing.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const ENGINE_START_DEADLINE_MS = 60_000
const DOCKERD_LOG = '/var/log/testkernels-dockerd.log'

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
  run('npm', ['ci', '--no-audit', '--no-fund'])
}

async function ensureEngine() {
  const found = await pingEngine()
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
  run('apt-get', ['update', '-qq'], { env })
  run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], { env })
}

async function startEngine() {
  if (existsSync('/run/systemd/system')) {
    say('starting the Docker engine (systemctl start docker)')
    run('systemctl', ['start', 'docker'])
  } else {
    say(`starting the Docker engine (dockerd, log: ${DOCKERD_LOG})`)
    const log = openSync(DOCKERD_LOG, 'a')
    spawn('dockerd', [], { detached: true, stdio: ['ignore', log, log] }).unref()
  }
  const deadline = Date.now() + ENGINE_START_DEADLINE_MS
  while (Date.now() < deadline) {
    const found = await pingEngine()
    if (found) return say(`Docker engine answers at ${found}`)
    await delay(250)
  }
  const tail = existsSync(DOCKERD_LOG) ? readFileSync(DOCKERD_LOG, 'utf8').split('\n').slice(-20).join('\n') : ''
  fail(`the Docker engine did not answer within ${ENGINE_START_DEADLINE_MS / 1000} s\n${tail}`, `see ${DOCKERD_LOG}`)
}

/** @returns {Promise<string | undefined>} the address of the engine that answered */
async function pingEngine() {
  const host = process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock'
  const url = new URL(host.replace(/^tcp:/, 'http:'))
  const target =
    url.protocol === 'unix:' ? { socketPath: url.pathname } : { host: url.hostname, port: url.port || 2375 }
  return await new Promise((resolve) => {
    const probe = request({ ...target, path: '/_ping', timeout: 5_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200 ? host : undefined)
    })
    probe.on('timeout', () => probe.destroy())
    probe.on('error', () => resolve(undefined))
    probe.end()
  })
}

function run(command, args, options = {}) {
  try {
    execFileSync(command, args, { stdio: 'inherit', cwd: root, ...options })
  } catch (cause) {
    fail(
      `${command} ${args.join(' ')} failed`,
      cause.code === 'ENOENT' ? `${command} is not installed` : 'see its output above',
    )
  }
}

function fail(what, remedy) {
  console.error(`[setup] ${what}\n[setup] remedy: ${remedy}`)
  process.exit(1)
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await setup()
