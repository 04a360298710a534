const PAGE_BYTES = 4096

/** What a fake guest has in its memory: a page of zeros, the kernel's note at the start of the next, and a page of other things. */
export interface FakeMemory {
  /** @default what a kernel has */
  readonly note?: Buffer | 'none'
}

export const VMCOREINFO = 'OSRELEASE=6.1.0-fake\nKERNELOFFSET=5e00000\n'

/** A note as kernels and QEMU write it. */
export function elfNote(name: string, text: string): Buffer {
  const padded = (content: string) => Buffer.concat([Buffer.from(content)], Math.ceil(content.length / 4) * 4)
  const header = Buffer.alloc(12)
  header.writeUInt32LE(name.length + 1, 0)
  header.writeUInt32LE(text.length, 4)
  return Buffer.concat([header, padded(`${name}\0`), padded(text)])
}

/** An ELF core as QEMU 10.0 writes it: sections first, notes, memory that is not aligned, and the names of sections last. */
export function fakeCore({ note = elfNote('VMCOREINFO', VMCOREINFO) }: FakeMemory = {}): Buffer {
  const segments = 192
  const notes = elfNote('CORE', 'processors')
  const notesAt = segments + 3 * 56
  const memoryAt = notesAt + notes.length
  const first = Buffer.alloc(2 * PAGE_BYTES)
  if (note !== 'none') note.copy(first, PAGE_BYTES)
  const second = Buffer.alloc(PAGE_BYTES, 'content')
  const head = Buffer.alloc(memoryAt)
  head.write('\x7fELF\x02\x01\x01', 'latin1')
  head.writeUInt16LE(3, 18)
  head.writeBigUInt64LE(BigInt(segments), 32)
  head.writeBigUInt64LE(64n, 40)
  head.writeUInt16LE(8, 52)
  for (const [at, value] of [
    [54, 56],
    [56, 3],
    [58, 64],
    [60, 2],
    [62, 1],
  ] as const)
    head.writeUInt16LE(value, at)
  const table = [
    { kind: 4, offset: notesAt, bytes: notes.length, address: 0 },
    { kind: 1, offset: memoryAt, bytes: first.length, address: 0 },
    { kind: 1, offset: memoryAt + first.length, bytes: second.length, address: 0x100000 },
  ]
  for (const [index, { kind, offset, bytes, address }] of table.entries()) {
    const at = segments + index * 56
    head.writeUInt32LE(kind, at)
    for (const [field, value] of [
      [8, offset],
      [24, address],
      [32, bytes],
      [40, bytes],
    ] as const)
      head.writeBigUInt64LE(BigInt(value), at + field)
  }
  notes.copy(head, notesAt)
  return Buffer.concat([head, first, second, Buffer.from('\0.shstrtab\0')])
}
