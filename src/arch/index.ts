import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { amd64 } from './amd64.ts'
import type { Architecture } from './architecture.ts'

export type { Architecture, Transport } from './architecture.ts'

/** All that guests can have. */
export const architectures: readonly Architecture[] = [amd64]

/** A kernel as a file says it. */
export interface IdentifiedKernel {
  readonly arch: Architecture
  /** What `uname -r` will say. */
  readonly release: string
}

/**
 * Whose kernel is in this file, an image or an ELF; undefined if it is no kernel. The file's name need not say it.
 * @throws what reading throws
 */
export function identifyKernel(vmlinuz: string): IdentifiedKernel | undefined {
  for (const arch of architectures) {
    const release = arch.kernel.readRelease(vmlinuz)
    if (release !== undefined) return { arch, release }
  }
  const elf = readElfKernel(vmlinuz)
  const arch = elf && architectures.find(({ kernel }) => kernel.elfMachine === elf.machine)
  return arch && { arch, release: elf.release }
}

/** @param machine what `uname -m` says there */
export function architectureOf(machine: string): Architecture | undefined {
  return architectures.find((architecture) => architecture.machine === machine)
}

/** An ELF kernel, as `make vmlinux` leaves it. */
interface ElfKernel {
  /** EM_... of elf.h: the processor that it is for. */
  readonly machine: number
  /** What `uname -r` will say. */
  readonly release: string
}

const MAGIC = '\x7fELF'
const HEADER_BYTES = 64
const MACHINE = 18
const CHUNK_BYTES = 4 * 1024 * 1024
/** Of a vmlinux with all that debuggers want, what is searched: the banner stands right behind the code. */
const SEARCHED_BYTES = 64 * CHUNK_BYTES
const BANNER = /Linux version (\d+\.\d+[\w.+~-]*) /
/** Longer than any, so that none is missed where two chunks meet. */
const OVERLAP_BYTES = 256

/**
 * The kernel in this file; undefined if it is no ELF, or no kernel.
 * @throws what reading throws
 */
function readElfKernel(path: string): ElfKernel | undefined {
  const file = openSync(path, 'r')
  try {
    const header = Buffer.alloc(HEADER_BYTES)
    readSync(file, header, 0, HEADER_BYTES, 0)
    if (header.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined
    const release = findRelease(file)
    return release === undefined ? undefined : { machine: header.readUInt16LE(MACHINE), release }
  } finally {
    closeSync(file)
  }
}

function findRelease(file: number): string | undefined {
  const chunk = Buffer.alloc(CHUNK_BYTES)
  const end = Math.min(fstatSync(file).size, SEARCHED_BYTES)
  for (let at = 0; at < end; at += CHUNK_BYTES - OVERLAP_BYTES) {
    const bytes = readSync(file, chunk, 0, CHUNK_BYTES, at)
    const [, release] = BANNER.exec(chunk.toString('latin1', 0, bytes)) ?? []
    if (release !== undefined) return release
  }
  return undefined
}
