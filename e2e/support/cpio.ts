/** An archive as the kernel unpacks it from an initrd ("newc"). Undefined content is a directory, and parents come first. */
export function cpio(files: Readonly<Record<string, Buffer | undefined>>): Buffer {
  return Buffer.concat([...Object.entries(files).map(([name, content]) => member(name, content)), member('TRAILER!!!')])
}

function member(name: string, content?: Buffer): Buffer {
  const mode = content === undefined ? 0o40755 : 0o100644
  const size = content?.length ?? 0
  // inode, mode, uid, gid, links, time, size, four device numbers, length of the name, checksum
  const fields = [0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name.length + 1, 0]
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`
  return Buffer.concat([padded(Buffer.from(head)), padded(content ?? Buffer.alloc(0))])
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
}
