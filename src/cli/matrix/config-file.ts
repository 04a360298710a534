import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { type KernelEntry, type KernelMatrix, parseMatrix } from '../../options/index.ts'
import { MatrixFileError } from '../errors.ts'

/**
 * Reads the matrix that a file exports by default, in TypeScript or JavaScript, whatever kind of module.
 * @throws MatrixFileError; InvalidOptionError; UnknownKernelError; DuplicateEntryError
 */
export async function loadMatrix(file: string): Promise<readonly KernelEntry[]> {
  const matrix = await importDefault(resolve(file))
  if (typeof matrix === 'object' && matrix !== null) return parseMatrix(matrix as KernelMatrix)
  throw new MatrixFileError({
    what: `${file} exports no matrix`,
    remedy: "write `export default { v2: { kernel: 'debian:trixie' } }` or `export default kernelMatrix({ ... })`",
  })
}

/** Node 20 cannot import TypeScript. No cache on the disk: it would lie in the user's node_modules. */
async function importDefault(path: string): Promise<unknown> {
  try {
    return await createJiti(import.meta.url, { fsCache: false }).import(path, { default: true })
  } catch (cause) {
    throw new MatrixFileError({
      what: `cannot read the matrix in ${path}`,
      cause,
      remedy: 'check the file after --matrix',
    })
  }
}
