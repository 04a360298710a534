/** A program that makes a Debian root file system; its command writes the tar of one to its standard output. */
export interface BootstrapTool {
  readonly name: string
  command(request: BootstrapRequest): BootstrapCommand
}

export interface BootstrapRequest {
  /** As Debian calls the architecture. */
  readonly arch: string
  readonly suite: string
  /** URL of a Debian archive, without a slash at its end. */
  readonly mirror: string
}

export interface BootstrapCommand {
  readonly file: string
  readonly args: readonly string[]
}

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
      suite,
      '-',
      mirror,
    ],
  }),
}

/** debootstrap makes a directory; the shell packs it, and removes it however it ends. */
const DEBOOTSTRAP_TO_TAR = `
directory=$(mktemp -d) || exit
trap 'rm -rf --one-file-system "$directory"' EXIT
trap 'exit 143' TERM
suite=$1 mirror=$2
shift 2
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
      mirror,
      '--variant=minbase',
      `--arch=${arch}`,
      ...extraPackages(mirror),
    ],
  }),
}

/** In order of preference: mmdebstrap is several times faster and works for other users than root. */
export const BOOTSTRAP_TOOLS: readonly BootstrapTool[] = [mmdebstrap, debootstrap]

/** Steps that install packages over https need the authorities' certificates in the image. */
function extraPackages(mirror: string): readonly string[] {
  return mirror.startsWith('https:') ? ['--include=ca-certificates'] : []
}
