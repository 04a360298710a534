// Run by devices.e2e.test.ts in a mount namespace of its own: makes of a file, with FUSE, one that is there and hangs whoever opens it, as a
// device does whose driver hangs.
import { spawnSync } from 'node:child_process'
import { openSync, read, writeSync } from 'node:fs'

const [, , path] = process.argv
const fuse = openSync('/dev/fuse', 'r+')

// linux/fuse.h
const REGULAR_FILE = 0o100666
const GETATTR = 3
const OPEN = 14
const INIT = 26
const FORGET = 2
const INTERRUPT = 36
const WITHOUT_ANSWER = new Set([OPEN, FORGET, INTERRUPT])
const ENOSYS = -38
const HEADER_BYTES = 40

const options = `fd=3,rootmode=${REGULAR_FILE.toString(8)},user_id=0,group_id=0,allow_other`
const mounting = spawnSync('mount', ['-i', '-t', 'fuse', '-o', options, 'hanging-device', path], {
  stdio: ['ignore', 'inherit', 'inherit', fuse],
})
if (mounting.status !== 0) process.exit(1)

const request = Buffer.alloc(256 * 1024)
serve()
console.log('mounted')

function serve() {
  read(fuse, request, 0, request.length, null, (error, size) => {
    if (error) throw error
    answer(request.readUInt32LE(4), request.readBigUInt64LE(8), request.subarray(HEADER_BYTES, size))
    serve()
  })
}

function answer(opcode, unique, body) {
  if (WITHOUT_ANSWER.has(opcode)) return
  const content = opcode === INIT ? initOut(body) : opcode === GETATTR ? attrOut() : undefined
  const header = Buffer.alloc(16)
  header.writeUInt32LE(header.length + (content?.length ?? 0), 0)
  header.writeInt32LE(content === undefined ? ENOSYS : 0, 4)
  header.writeBigUInt64LE(unique, 8)
  writeSync(fuse, Buffer.concat([header, content ?? Buffer.alloc(0)]))
}

/** Speaks the version that the kernel does, and wants nothing. */
function initOut(body) {
  const out = Buffer.alloc(64)
  out.writeUInt32LE(body.readUInt32LE(0), 0)
  out.writeUInt32LE(body.readUInt32LE(4), 4)
  out.writeUInt32LE(4096, 20)
  return out
}

/** Everybody's, and empty. */
function attrOut() {
  const out = Buffer.alloc(104)
  out.writeBigUInt64LE(1n, 16)
  out.writeUInt32LE(REGULAR_FILE, 76)
  out.writeUInt32LE(1, 80)
  return out
}
