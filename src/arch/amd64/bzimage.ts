import { closeSync, openSync, readSync } from 'node:fs'

/** A head's fields, from Documentation/arch/x86/boot.rst. */
const MAGIC = { offset: 0x202, text: 'HdrS' }
const VERSION_POINTER = 0x20e
/** What the pointer counts from. */
const VERSION_BASE = 0x200
/** The pointer has 16 bits, and the text behind it is short. */
const HEAD_BYTES = VERSION_BASE + 0xffff + 512

/**
 * What `uname -r` will say on the kernel in this file, or undefined if it is no bzImage.
 * @throws what reading throws
 */
export function readRelease(vmlinuz: string): string | undefined {
  const head = readHead(vmlinuz)
  if (head.toString('latin1', MAGIC.offset, MAGIC.offset + 4) !== MAGIC.text) return undefined
  const start = VERSION_BASE + head.readUInt16LE(VERSION_POINTER)
  const [release = ''] = head.toString('latin1', start, start + 200).split(/[\0 ]/)
  return /^\d+\.\d+[\w.+~-]*$/.test(release) ? release : undefined
}

function readHead(path: string): Buffer {
  const file = openSync(path, 'r')
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    readSync(file, head, 0, HEAD_BYTES, 0)
    return head
  } finally {
    closeSync(file)
  }
}
