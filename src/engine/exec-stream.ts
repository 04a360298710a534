import { Duplex } from 'node:stream'
import type { Engine } from './connect.ts'
import { createDemultiplexer, readFrames } from './output.ts'

/** So much of what the program wrote on standard error is kept, for the error. */
const STDERR_BYTES = 2_000

export interface ExecOptions {
  /** `UID:GID` of the program. @default the container's */
  readonly user?: string
  /**
   * How what is written and what the program prints go on their way. `framed`: each part behind its length, four bytes, the highest first, and
   * the end as a part without bytes. So each side tells the end of what the other one says from the end of the connection.
   * @default 'plain'
   */
  readonly parts?: 'plain' | 'framed'
}

const LENGTH_BYTES = 4

/** @param bytes of the part that follows */
function frameLength(bytes: number): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES)
  length.writeUInt32BE(bytes)
  return length
}

/**
 * A program in a running container, as a connection: what is written is its standard input, what it prints is read. When it ends, so
 * does the connection, with what it wrote on standard error if it wrote nothing else. One whose parts are framed fails where it ends and the
 * program has not said so: its way was lost.
 */
export async function execStream(
  engine: Engine,
  container: string,
  argv: readonly string[],
  { user, parts = 'plain' }: ExecOptions = {},
): Promise<Duplex> {
  const attach = { AttachStdin: true, AttachStdout: true, AttachStderr: true }
  const exec = await engine.docker
    .getContainer(container)
    .exec({ Cmd: [...argv], ...attach, ...(user && { User: user }) })
  const carrier = (await exec.start({ hijack: true, stdin: true })) as Duplex
  let said = ''
  let hasOutput = false
  let hasEnded = false
  let isOver = false
  const connection = new Duplex({
    read: () => carrier.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      // As for a socket whose other side has closed it: nobody takes it.
      if (chunk.length === 0 || isOver) return done()
      if (parts === 'framed') carrier.write(frameLength(chunk.length))
      carrier.write(chunk, done)
    },
    final: (done) => {
      if (isOver) done()
      else if (parts === 'plain') carrier.end(done)
      else {
        carrier.write(frameLength(0))
        // Then all of it is where it was to go: a stream that both sides have ended is destroyed, and its program with it.
        carrier.once('close', () => done())
      }
    },
    destroy: (error, done) => {
      carrier.destroy()
      done(error)
    },
  })
  const read = (chunk: Buffer) => {
    hasOutput = true
    if (!connection.push(chunk)) carrier.pause()
  }
  const end = () => {
    hasEnded = true
    connection.push(null)
  }
  const begin = (head: Buffer) => {
    const length = head.readUInt32BE()
    if (length === 0) end()
    return length
  }
  const demultiplex = createDemultiplexer({
    stdout: parts === 'framed' ? readFrames(LENGTH_BYTES, { begin, take: read }) : read,
    stderr: (chunk) => {
      said = (said + chunk).slice(0, STDERR_BYTES)
    },
  })
  carrier.on('data', demultiplex)
  carrier.on('error', (error) => connection.destroy(error))
  carrier.on('close', () => {
    isOver = true
    if (hasEnded) return
    if (hasOutput && parts === 'plain') end()
    else if (hasOutput) connection.destroy(new Error('the connection to the engine was lost'))
    else connection.destroy(new Error(said.trim() || `${argv.join(' ')} ended at once in the container ${container}`))
  })
  return connection
}
