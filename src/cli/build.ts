import { imageId, tagImage } from '../engine/index.ts'
import { InvalidOptionError, parseKernelEntry, withConfig } from '../options/index.ts'
import { openHost, prepareImage } from '../vm/image.ts'
import type { Working } from './execute.ts'

export interface BuildArguments extends Working {
  readonly kernel: string
  /** Fragments of the kernel's configuration. */
  readonly config: readonly string[]
  /** The other options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  /** Further names for the image. */
  readonly tags: readonly string[]
}

/** Prints the image's id on standard output, and nothing else there. */
export async function build(args: BuildArguments): Promise<number> {
  const { kernel, config, options, tags, settings, log, progress, signal } = args
  // Which controllers it needs is up to those who run it.
  const entry = parseKernelEntry('build', { ...options, kernel: withConfig(kernel, config), controllers: 'partial' })
  // Before the build, which may take minutes.
  for (const tag of tags) checkImageName(tag)
  const host = await openHost({ settings, log, signal })
  const image = await prepareImage({ host, entry, log, signal, onBuildStatus: progress.update.bind(progress) })
  for (const tag of tags) await tagImage(host.engine, image.ref, tag)
  // Or its last picture would take the line away.
  progress.end()
  process.stdout.write(`${await imageId(host.engine, image.ref)}\n`)
  return 0
}

/** `[HOST[:PORT]/]NAME[:TAG]`, as the engine takes it. */
const IMAGE_NAME = /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?$/

function checkImageName(name: string): void {
  if (IMAGE_NAME.test(name)) return
  throw new InvalidOptionError({
    what: `'${name}' cannot be the name of an image`,
    remedy: 'write --tag as NAME or NAME:TAG, with NAME in lower case',
  })
}
