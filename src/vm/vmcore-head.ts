import type { Architecture } from '../arch/index.ts'

export const PAGE_BYTES = 4096
/** Before the memory: headers of ELF, and notes of some hundred bytes for each processor. */
const LONGEST_HEAD = 1024 * 1024

/** Of elf.h: where the fields of a 64-bit header are, and of the table of segments that it names. */
const ELF = {
  magic: '\x7fELF\x02\x01',
  bytes: 64,
  machine: 18,
  segmentTable: 32,
  sectionTable: 40,
  size: 52,
  segmentBytes: 54,
  segments: 56,
  /** Size, number, and which of them has the names. */
  sections: 58,
} as const
const SEGMENT = {
  bytes: 56,
  kind: 0,
  offset: 8,
  virtual: 16,
  physical: 24,
  fileBytes: 32,
  memoryBytes: 40,
  load: 1,
  note: 4,
} as const
/** Of a kernel's image, with what it keeps behind its code: those for finding bugs have the largest. */
const LONGEST_IMAGE = 256 * 1024 * 1024

/** A note's header, its name, and what the kernel's own begins with. It stands at the start of a page of its own. */
const NOTE_NAME = Buffer.from('VMCOREINFO\0')
const NOTE_TEXT_AT = 24
const NOTE_TEXT = Buffer.from('OSRELEASE=')

/** QEMU takes the guest's processor for another where a reset has put that back to its beginnings. */
export type KernelAtCore = Pick<Architecture['kernel'], 'elfMachine' | 'imageMap'>

/** What stands before the memory, taken apart. */
export interface Head {
  readonly header: Buffer
  readonly segments: readonly Segment[]
  readonly notes: Buffer
  /** As QEMU sent it. */
  readonly bytes: number
  /** Where in the file the memory begins: with room for what is added, and such that its pages are the file's. */
  readonly memoryAt: number
  readonly memoryBytes: number
}

interface Segment {
  /** All of its header but what is below. */
  readonly header: Buffer
  readonly kind: number
  readonly offset: number
  readonly virtual: bigint
  readonly physical: number
  readonly bytes: number
}

/** @returns undefined where it is not all there yet */
export function parseHead(received: Buffer, { maxBytes }: { readonly maxBytes: number }): Head | undefined {
  if (received.length < ELF.bytes) return undefined
  if (received.toString('latin1', 0, ELF.magic.length) !== ELF.magic)
    throw new Error('what QEMU sent is no ELF core of 64 bits')
  const table = number64(received, ELF.segmentTable)
  const count = received.readUInt16LE(ELF.segments)
  const tableEnd = table + count * SEGMENT.bytes
  if (received.readUInt16LE(ELF.segmentBytes) !== SEGMENT.bytes || tableEnd > LONGEST_HEAD)
    throw new Error('what QEMU sent has a strange table of segments')
  if (received.length < tableEnd) return undefined
  const segments = Array.from({ length: count }, (_, index) => segmentAt(received, table + index * SEGMENT.bytes))
  const [note, ...loads] = segments
  const [first] = loads
  if (note?.kind !== SEGMENT.note || first === undefined) throw new Error('what QEMU sent has no notes, or no memory')
  let end = first.offset
  for (const { kind, offset, bytes } of loads) {
    const isNext = kind === SEGMENT.load && offset === end && bytes % PAGE_BYTES === 0
    if (!isNext) throw new Error('what QEMU sent has strange segments')
    end += bytes
  }
  const bytes = first.offset
  const notesEnd = note.offset + note.bytes
  if (bytes > LONGEST_HEAD || note.offset < tableEnd || notesEnd > bytes || end - bytes > maxBytes)
    throw new Error(`what QEMU sent has strange sizes: ${end} bytes, of which ${bytes} are its head`)
  if (received.length < bytes) return undefined
  const header = Buffer.from(received.subarray(0, ELF.bytes))
  const notes = Buffer.from(received.subarray(note.offset, notesEnd))
  const memoryAt = upTo(bytes + SEGMENT.bytes + PAGE_BYTES, PAGE_BYTES)
  return { header, segments, notes, bytes, memoryAt, memoryBytes: end - bytes }
}

function segmentAt(head: Buffer, at: number): Segment {
  const header = Buffer.from(head.subarray(at, at + SEGMENT.bytes))
  return {
    header,
    kind: header.readUInt32LE(SEGMENT.kind),
    offset: number64(header, SEGMENT.offset),
    virtual: header.readBigUInt64LE(SEGMENT.virtual),
    physical: number64(header, SEGMENT.physical),
    bytes: number64(header, SEGMENT.fileBytes),
  }
}

/** No size or offset of ours is beyond what a number can say; one that is is refused as strange. */
function number64(head: Buffer, at: number): number {
  return Number(head.readBigUInt64LE(at))
}

function upTo(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}

/** Puts it together again: without sections, which a core does not need, and with what the kernel's note adds. */
export function assembleHead(head: Head, vmcoreinfo: Buffer | undefined, kernel: KernelAtCore): Buffer {
  const [note, ...sent] = head.segments as [Segment, ...Segment[]]
  const shift = head.memoryAt - head.bytes
  const loads = sent.map((load) => ({ ...load, offset: load.offset + shift }))
  const image = vmcoreinfo && imageSegment(vmcoreinfo.toString('latin1', NOTE_TEXT_AT), loads, kernel)
  const notes = Buffer.concat([head.notes, ...(vmcoreinfo === undefined ? [] : [vmcoreinfo])])
  const count = head.segments.length + (image === undefined ? 0 : 1)
  const noteSegment = { ...note, offset: ELF.bytes + count * SEGMENT.bytes, bytes: notes.length }
  const header = Buffer.from(head.header)
  header.writeUInt16LE(kernel.elfMachine, ELF.machine)
  header.writeBigUInt64LE(BigInt(ELF.bytes), ELF.segmentTable)
  header.writeBigUInt64LE(0n, ELF.sectionTable)
  // QEMU writes the size of something else here.
  header.writeUInt16LE(ELF.bytes, ELF.size)
  header.writeUInt16LE(count, ELF.segments)
  header.fill(0, ELF.sections)
  const table = [noteSegment, ...(image === undefined ? [] : [image]), ...loads].map(segmentHeader)
  return Buffer.concat([header, ...table, notes], head.memoryAt)
}

function segmentHeader({ header, offset, virtual, physical, bytes }: Segment): Buffer {
  const written = Buffer.from(header)
  written.writeBigUInt64LE(BigInt(offset), SEGMENT.offset)
  written.writeBigUInt64LE(virtual, SEGMENT.virtual)
  written.writeBigUInt64LE(BigInt(physical), SEGMENT.physical)
  for (const field of [SEGMENT.fileBytes, SEGMENT.memoryBytes]) written.writeBigUInt64LE(BigInt(bytes), field)
  return written
}

/**
 * The kernel's image at the addresses that its symbols have, as a kernel has it in its own cores (/proc/vmcore): the page tables, with
 * which debuggers find all the rest, are there.
 */
function imageSegment(
  info: string,
  loads: readonly Segment[],
  { imageMap }: Pick<KernelAtCore, 'imageMap'>,
): Segment | undefined {
  const [, text] = /^SYMBOL\(_stext\)=([0-9a-f]{1,16})$/m.exec(info) ?? []
  const [, base] = /^NUMBER\(phys_base\)=(-?\d{1,20})$/m.exec(info) ?? []
  if (text === undefined || base === undefined) return undefined
  const virtual = BigInt(`0x${text}`)
  const physical = Number(virtual - imageMap + BigInt(base))
  const load = loads.find((one) => one.physical <= physical && physical < one.physical + one.bytes)
  if (load === undefined || physical % PAGE_BYTES !== 0) return undefined
  const from = physical - load.physical
  const bytes = Math.min(LONGEST_IMAGE, load.bytes - from)
  return { ...load, offset: load.offset + from, virtual, physical, bytes }
}

/** The note that a page begins with, in memory of its own. */
export function vmcoreinfoIn(page: Buffer): Buffer | undefined {
  if (page.readUInt32LE(0) !== NOTE_NAME.length || page.readUInt32LE(8) !== 0) return undefined
  if (!page.subarray(12, 12 + NOTE_NAME.length).equals(NOTE_NAME)) return undefined
  const end = NOTE_TEXT_AT + upTo(page.readUInt32LE(4), 4)
  if (end > PAGE_BYTES || !page.subarray(NOTE_TEXT_AT, NOTE_TEXT_AT + NOTE_TEXT.length).equals(NOTE_TEXT))
    return undefined
  return Buffer.from(page.subarray(0, end))
}
