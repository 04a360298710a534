import { access, constants } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { delimiter, join } from 'node:path'
import { registryAuth } from '../buildkit/index.ts'
import { reasonOf } from '../errors/index.ts'
import {
  BASE_SUITE,
  BOOTSTRAP_TOOLS,
  type DebianMirror,
  debianMirror,
  officialBaseImage,
  storedBaseImage,
} from '../image/index.ts'
import type { Settings } from '../options/index.ts'
import type { Check, DoctorContext, Finding } from './check.ts'

const GROUP = 'Images'
const ARCHIVE_DEADLINE_MS = 10_000
const REGISTRY_DEADLINE_MS = 30_000

export const debianArchive: Check = {
  id: 'debian-archive',
  title: 'Debian archive',
  group: GROUP,
  deadlineMs: ARCHIVE_DEADLINE_MS,
  needs: 'nothing',
  examine: async ({ settings }, signal) => {
    const mirror = await debianMirror(settings)
    if (mirror === undefined)
      return { status: 'ok', message: 'none is named, nor is this machine a Debian: that of the base image is used' }
    const source = settings.debianMirror === undefined ? "this machine's apt" : 'TESTKERNELS_DEBIAN_MIRROR'
    return await archiveFinding(mirror, { source, settings, signal })
  },
}

interface Archive {
  readonly source: string
  readonly settings: Settings
  readonly signal: AbortSignal
}

async function archiveFinding(mirror: DebianMirror, { source, settings, signal }: Archive): Promise<Finding> {
  const shown = `${mirror.url} (${source})`
  const remedy =
    'set TESTKERNELS_DEBIAN_MIRROR to a Debian archive that can be reached; it is needed when an image is built'
  try {
    const status = await head(new URL(`${mirror.url}/dists/${BASE_SUITE}/InRelease`), { auth: loginOf(mirror), signal })
    if (status < 400) return { status: 'ok', message: `${shown} has ${BASE_SUITE}` }
    return { status: 'warning', message: `${shown} answers ${status} for the InRelease of ${BASE_SUITE}`, remedy }
  } catch (cause) {
    const why = signal.aborted ? `no answer within ${ARCHIVE_DEADLINE_MS / 1000} s` : reasonOf(cause)
    const proxied = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].some(
      (name) => settings.environment[name],
    )
    const asked = proxied ? ', asked without the proxy that is set' : ''
    return { status: 'warning', message: `${shown} cannot be reached${asked}: ${why}`, remedy }
  }
}

/** `USER:PASSWORD`, out of what apt is told. */
function loginOf({ auth }: DebianMirror): string | undefined {
  if (auth === undefined) return undefined
  const [, login = ''] = /^login (.*)$/m.exec(auth) ?? []
  const [, password = ''] = /^password (.*)$/m.exec(auth) ?? []
  return `${login}:${password}`
}

interface Asking {
  readonly auth: string | undefined
  readonly signal: AbortSignal
}

function head(url: URL, { auth, signal }: Asking): Promise<number> {
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const asked = request(url, { method: 'HEAD', signal, ...(auth && { auth }) }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    asked.once('error', reject).end()
  })
}

export const baseImage: Check = {
  id: 'base-image',
  title: 'Base image',
  group: GROUP,
  deadlineMs: REGISTRY_DEADLINE_MS,
  needs: 'engine',
  examine: async (context, signal) => {
    const { host } = await context.engine()
    const mirror = await debianMirror(context.settings)
    const stored = await storedBaseImage({ host, suite: BASE_SUITE, mirror })
    if (stored !== undefined) return { status: 'ok', message: `${stored.ref} is in the engine` }
    const official = officialBaseImage(BASE_SUITE)
    if (await isInRegistry(official, context, signal))
      return { status: 'ok', message: `a registry has ${official}, which is pulled when an image is built` }
    const tool = await firstInPath(
      BOOTSTRAP_TOOLS.map(({ name }) => name),
      context.settings,
    )
    if (mirror !== undefined && tool !== undefined)
      return { status: 'ok', message: `no registry has ${official}: ${tool} makes one from the Debian archive` }
    const missing = mirror === undefined ? 'no Debian archive is named' : 'there is no mmdebstrap here'
    return {
      status: 'failure',
      message: `the engine has no ${official}, no registry that it reaches has, and ${missing} to make one`,
      remedy: `give the engine ${official} (\`docker pull\` or \`docker load\`), or install mmdebstrap and set TESTKERNELS_DEBIAN_MIRROR`,
    }
  },
}

async function isInRegistry(ref: string, { settings, engine, log }: DoctorContext, signal: AbortSignal) {
  const { host } = await engine()
  await using buildkit = await host.builder({ signal, log }).connect()
  const attachables = [registryAuth({ configDir: settings.dockerConfigDirectory })]
  return (await buildkit.remoteImage({ ref, attachables, signal })) !== undefined
}

async function firstInPath(names: readonly string[], { environment }: Settings): Promise<string | undefined> {
  const directories = (environment['PATH'] ?? '').split(delimiter)
  for (const name of names) {
    for (const directory of directories) {
      const found = await access(join(directory, name), constants.X_OK).then(
        () => true,
        () => false,
      )
      if (found) return name
    }
  }
  return undefined
}
