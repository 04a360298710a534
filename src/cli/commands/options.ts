import { InvalidArgumentError, Option } from 'commander'
import { progressKinds } from '../../options/index.ts'

/** Options that more than one command has. */
export const kernelOption = () =>
  new Option('--kernel <reference>', 'kernel of the guest, such as debian:bookworm or source:debian/trixie').default(
    'debian:trixie',
  )

export const configOption = () =>
  new Option('--config <fragment>', 'for a kernel from source: cgroup-v1, kasan, debug, btf or a file; may be repeated')
    .argParser(repeated)
    .default([], 'none')

export const rootfsOption = () =>
  new Option('--rootfs <reference>', 'root file system: debian:SUITE, docker-image://REF, dockerfile:PATH, file://PATH')

export const initOption = () =>
  new Option('--init <command>', 'what the guest runs in place of dockerd: words, or a JSON array').argParser(words)

export const cacheFromOption = () =>
  new Option(
    '--cache-from <cache>',
    'build cache to read, as docker buildx has it: type=registry,ref=...; may be repeated',
  )
    .argParser(repeated)
    .default([], 'none')

export const cacheToOption = () =>
  new Option('--cache-to <cache>', 'build cache to write: type=inline, or what the engine can; may be repeated')
    .argParser(repeated)
    .default([], 'none')

export const progressOption = () =>
  new Option('--progress <kind>', 'how builds are shown; auto is tty on a terminal, else plain').choices(progressKinds)

export function repeated(value: string, former: readonly string[] | undefined): readonly string[] {
  return [...(former ?? []), value]
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError('must be a whole number.')
  return Number(text)
}

/** `sleep infinity`, or `["sleep", "infinity"]` for words with blanks in them. */
function words(text: string): readonly string[] {
  if (!text.trimStart().startsWith('[')) return text.trim().split(/\s+/)
  const parsed = fromJson(text)
  if (Array.isArray(parsed) && parsed.every((word) => typeof word === 'string')) return parsed
  throw new InvalidArgumentError('must be words, or a JSON array of strings.')
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
