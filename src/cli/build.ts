import { imageId, tagImage } from '../engine/index.ts'
import { InvalidOptionError, parseKernelEntry, withConfig } from '../options/index.ts'
import { openHost, prepareImage } from '../vm/index.ts'
import type { Terminal } from './terminal.ts'

export interface BuildArguments extends Terminal {
  readonly kernel: string
  /** Fragments of the kernel's configuration. */
  readonly config: readonly string[]
  readonly tag: string | undefined
  readonly signal: AbortSignal
}

/** Prints the image's id on standard output, and nothing else there. */
export async function build({ kernel, config, tag, settings, log, progress, signal }: BuildArguments): Promise<number> {
  // Which controllers it needs is up to those who run it.
  const entry = parseKernelEntry('build', { kernel: withConfig(kernel, config), controllers: 'partial' })
  // Before the build, which may take minutes.
  if (tag !== undefined) checkImageName(tag)
  const host = await openHost({ settings, log, signal })
  const image = await prepareImage({ host, entry, log, signal, onBuildStatus: progress.update.bind(progress) })
  if (tag !== undefined) await tagImage(host.engine, image.ref, tag)
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
