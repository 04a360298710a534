import { fstatSync } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { InvalidOptionError } from '../options/index.ts'

/** Whether standard input is the end of a shell's pipe, as in `testkernels build | testkernels run`. */
export function inputIsPipe(): boolean {
  return fstatSync(0).isFIFO()
}

/**
 * The image that is named on standard input, which is read to its end.
 * @throws InvalidOptionError
 */
export async function readImageArgument(input: Readable, signal: AbortSignal): Promise<string> {
  // Silent: whoever writes there may be showing its progress on our terminal.
  const [image, ...more] = (await text(addAbortSignal(signal, input))).trim().split(/\s+/)
  if (image && more.length === 0) return image
  throw new InvalidOptionError({
    what: image ? 'standard input names more than one image' : 'standard input names no image',
    remedy: 'write `testkernels build | testkernels run`; if the build failed, its error is above',
  })
}
