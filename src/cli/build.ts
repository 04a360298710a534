import { imageId, tagImage } from '../engine/index.ts'
import { parseKernelEntry } from '../options/index.ts'
import { openHost, prepareImage } from '../vm/index.ts'
import type { Terminal } from './terminal.ts'

export interface BuildArguments extends Terminal {
  readonly kernel: string
  readonly tag: string | undefined
  readonly signal: AbortSignal
}

/** Prints the image's id on standard output, and nothing else there. */
export async function build({ kernel, tag, settings, log, progress, signal }: BuildArguments): Promise<void> {
  const entry = parseKernelEntry('build', { kernel })
  const host = await openHost({ settings, log, signal })
  const image = await prepareImage({ host, entry, log, signal, onBuildStatus: progress.update.bind(progress) })
  progress.end()
  if (tag !== undefined) await tagImage(host.engine, image.ref, tag)
  process.stdout.write(`${await imageId(host.engine, image.ref)}\n`)
}
