import { llb, type Mount } from '../../buildkit/graph.ts'
import { InvalidOptionError } from '../../options/index.ts'
import { aptMirror } from './apt-mirror.ts'

/** A Debian archive that packages come from. */
export interface DebianMirror {
  /** Without user and password, and without a slash at its end: it is on command lines, in images and in their history. */
  readonly url: string
  /** The archive of security updates, likewise. */
  readonly securityUrl: string
  /** What apt is to show it, as a file of /etc/apt/auth.conf.d. */
  readonly auth: string | undefined
}

/** What a user says of them. */
export interface DebianMirrorOptions {
  readonly debianMirror?: string | undefined
  readonly debianSecurityMirror?: string | undefined
}

/**
 * The Debian archive that images are built from: the option, else that of this machine's apt configuration, else none.
 * @throws InvalidOptionError for a password that apt could not be told
 */
export async function debianMirror(options: DebianMirrorOptions = {}): Promise<DebianMirror | undefined> {
  const { debianMirror: given, debianSecurityMirror } = options
  if (given !== undefined) return parseMirror(given, debianSecurityMirror)
  const found = await aptMirror()
  if (found === undefined) return undefined
  return parseMirror(found, debianSecurityMirror ?? (await aptMirror({ archive: 'security' })))
}

/** @param security by default the one beside it, as Debian's own mirrors have it: `/debian-security` beside `/debian` */
export function parseMirror(
  text: string,
  security = text.replace(/\/*$/, hasPath(text) ? '-security' : '/debian-security'),
) {
  const main = parseArchive(text)
  const { url: securityUrl, auth } = parseArchive(security)
  const auths = [main.auth, auth].filter((one) => one !== undefined)
  return { url: main.url, securityUrl, auth: auths.length === 0 ? undefined : auths.join('') }
}

function hasPath(url: string): boolean {
  return /^[a-z]+:\/\/[^/]+\/+[^/]/.test(url)
}

function parseArchive(text: string): Pick<DebianMirror, 'url' | 'auth'> {
  const [, scheme = '', user, rest = text] = /^(https?:\/\/)(?:([^/]*)@)?(.*)$/.exec(text) ?? []
  const url = `${scheme}${rest}`.replace(/\/+$/, '')
  if (user === undefined) return { url, auth: undefined }
  const [login = '', ...password] = user.split(':').map(decode)
  const words = [login, ...(password.length > 0 ? [password.join(':')] : [])]
  if (words.some((word) => word === '' || /[\s#]/.test(word))) {
    throw new InvalidOptionError({
      what: `the user or the password of the Debian archive ${url} is empty, or has a space or a #, which apt cannot be told`,
      remedy: 'give it another password',
    })
  }
  const [, secret] = words
  // With the scheme: without one, apt shows it to https alone.
  return { url, auth: `machine ${url}\nlogin ${login}\n${secret === undefined ? '' : `password ${secret}\n`}` }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What the session of a solve knows the file by. */
const APT_AUTH_SECRET = 'testkernels-apt-auth'

/** Shows a step's apt the password; it enters neither the image nor the graph. An image without one has no trace of this. */
export function aptAuth(mirror: DebianMirror | undefined): readonly Mount[] {
  if (mirror?.auth === undefined) return []
  return [llb.secret('/etc/apt/auth.conf.d/testkernels.conf', { id: APT_AUTH_SECRET })]
}

/** What a solve of such steps needs among its secrets. */
export function aptSecrets(mirror: DebianMirror | undefined): Readonly<Record<string, { readonly value: string }>> {
  return mirror?.auth === undefined ? {} : { [APT_AUTH_SECRET]: { value: mirror.auth } }
}
