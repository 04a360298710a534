import { aptMirror } from './base/index.ts'

/** The Debian archive that images are built from: the option, else that of this machine's apt configuration, else none. */
export async function debianMirror(option: string | undefined): Promise<string | undefined> {
  return option ?? (await aptMirror())
}
