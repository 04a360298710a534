import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { TestkernelsError } from '../../errors/index.ts'
import type { Host } from '../../host/index.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import type { DebianMirror } from './debian-mirror.ts'
import { type Command, SECRET_FILE, startProgram } from './program.ts'

/** The bootstrap program failed, or there is none. */
export class BootstrapError extends TestkernelsError {
  readonly code = 'BASE_IMAGE_BOOTSTRAP_FAILED'
}

export interface BootstrapOptions extends Omit<BootstrapRequest, 'arch'> {
  readonly host: Pick<Host, 'arch' | 'images'>
  /** Name of the image to make. */
  readonly ref: string
  readonly labels: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  readonly log?: Logger | undefined
}

/**
 * Makes a minimal Debian from its packages and streams it into the engine's store, never through this machine's disk.
 * @returns the id of the image
 * @throws BootstrapError; ImageTransferError
 */
export async function bootstrap(options: BootstrapOptions): Promise<string> {
  const { host, suite, mirror, ref, labels, signal, log = silentLogger } = options
  const tool = await findTool()
  if (tool === undefined) {
    throw new BootstrapError({
      what: `none of the programs that can make a Debian image is installed: ${BOOTSTRAP_TOOLS.map(({ name }) => name).join(', ')}`,
      remedy: 'install one: `sudo apt-get install mmdebstrap`',
    })
  }
  log.info(`making a minimal Debian ${suite} with ${tool.name} from ${mirror.url}`)
  await using program = await startProgram(tool.command({ arch: host.arch.name, suite, mirror }))
  let failure: unknown
  program.output.on('error', (error) => {
    failure = error
  })
  const changes = ['CMD ["bash"]']
  try {
    return await host.images.import(program.output, { ref, labels, changes, ...(signal && { signal }) })
  } catch (cause) {
    signal?.throwIfAborted()
    // Of the two that fail together, the program says why.
    if (failure === undefined) throw cause
    throw new BootstrapError({
      what: `${tool.name} did not make a Debian ${suite}`,
      remedy: `check that ${mirror.url} can be reached and has ${suite}, and that this user may run ${tool.name}`,
      cause: failure,
      output: await program.messages(),
    })
  }
}

async function findTool(): Promise<BootstrapTool | undefined> {
  for (const tool of BOOTSTRAP_TOOLS) {
    const found = await promisify(execFile)('sh', ['-c', 'command -v "$1"', 'sh', tool.name]).catch(() => undefined)
    if (found !== undefined) return tool
  }
  return undefined
}

/** A program that makes a Debian root file system; its command writes the tar of one to its standard output. */
interface BootstrapTool {
  readonly name: string
  command(request: BootstrapRequest): Command
}

interface BootstrapRequest {
  /** As Debian calls the architecture. */
  readonly arch: string
  readonly suite: string
  readonly mirror: DebianMirror
}

/** Where apt looks for passwords, while the image is made. */
const AUTH = '"$1/etc/apt/auth.conf.d/testkernels.conf"'
const SHOW_AUTH = `mkdir -p "$1/etc/apt/auth.conf.d"; cat ${SECRET_FILE} >${AUTH}`
const FORGET_AUTH = `rm -f ${AUTH}`

const mmdebstrap: BootstrapTool = {
  name: 'mmdebstrap',
  command: ({ arch, suite, mirror }) => ({
    file: 'mmdebstrap',
    args: [
      '--variant=minbase',
      `--architectures=${arch}`,
      '--format=tar',
      // A mirror may lag behind, and then has a sid that is past its date, and still signed. Stays in the image's apt.
      '--aptopt=Acquire::Check-Valid-Until "false"',
      ...extraPackages(mirror),
      // What debian:*-slim leaves out as well.
      '--dpkgopt=path-exclude=/usr/share/doc/*',
      '--dpkgopt=path-include=/usr/share/doc/*/copyright',
      '--dpkgopt=path-exclude=/usr/share/info/*',
      '--dpkgopt=path-exclude=/usr/share/locale/*',
      '--dpkgopt=path-exclude=/usr/share/man/*',
      ...(mirror.auth === undefined ? [] : [`--setup-hook=${SHOW_AUTH}`, `--customize-hook=${FORGET_AUTH}`]),
      suite,
      '-',
      mirror.url,
    ],
    secret: mirror.auth,
  }),
}

/** debootstrap makes a directory; the shell packs it, and removes it however it ends. */
const DEBOOTSTRAP_TO_TAR = `
directory=$(mktemp -d) || exit
trap 'rm -rf --one-file-system "$directory"' EXIT
trap 'exit 143' TERM
suite=$1 mirror=$2
shift 2
if [ -e ${SECRET_FILE} ]; then
  # wget's way to be told a password: hosts have no scheme there.
  export HOME=$directory.home
  trap 'rm -rf --one-file-system "$directory" "$HOME"' EXIT
  (umask 077; mkdir "$HOME"; sed 's,^machine https*://\\([^/:]*\\).*,machine \\1,' ${SECRET_FILE} >"$HOME/.netrc") || exit
fi
debootstrap "$@" "$suite" "$directory" "$mirror" >&2 || exit
tar -C "$directory" --numeric-owner --one-file-system \\
  --exclude='./var/cache/apt/archives/*.deb' --exclude='./var/lib/apt/lists/*' -c .
`

const debootstrap: BootstrapTool = {
  name: 'debootstrap',
  command: ({ arch, suite, mirror }) => ({
    file: 'sh',
    args: [
      '-c',
      DEBOOTSTRAP_TO_TAR,
      'sh',
      suite,
      mirror.url,
      '--variant=minbase',
      `--arch=${arch}`,
      ...extraPackages(mirror),
    ],
    secret: mirror.auth,
  }),
}

/** In order of preference: mmdebstrap is several times faster and works for other users than root. */
export const BOOTSTRAP_TOOLS: readonly BootstrapTool[] = [mmdebstrap, debootstrap]

/** Steps that install packages over https need the authorities' certificates in the image. */
function extraPackages({ url }: DebianMirror): readonly string[] {
  return url.startsWith('https:') ? ['--include=ca-certificates'] : []
}
