import { Duplex } from 'node:stream'
import type { Engine } from './connect.ts'
import { createDemultiplexer } from './output.ts'

/** So much of what the program wrote on standard error is kept, for the error. */
const STDERR_BYTES = 2_000

export interface ExecOptions {
  /** `UID:GID` of the program. @default the container's */
  readonly user?: string
  /**
   * How the program gets what is written. `framed`: each part behind its length, four bytes, the highest first, and the end as a part without
   * bytes; so it tells that from the end of who writes, which is the end of its standard input.
   * @default 'plain'
   */
  readonly input?: 'plain' | 'framed'
}

/** @param bytes of the part that follows */
function frameLength(bytes: number): Buffer {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes)
  return length
}

/**
 * A program in a running container, as a connection: what is written is its standard input, what it prints is read. When it ends, so
 * does the connection, with what it wrote on standard error if it wrote nothing else.
 */
export async function execStream(
  engine: Engine,
  container: string,
  argv: readonly string[],
  { user, input = 'plain' }: ExecOptions = {},
): Promise<Duplex> {
  const attach = { AttachStdin: true, AttachStdout: true, AttachStderr: true }
  const exec = await engine.docker
    .getContainer(container)
    .exec({ Cmd: [...argv], ...attach, ...(user && { User: user }) })
  const carrier = (await exec.start({ hijack: true, stdin: true })) as Duplex
  let said = ''
  let hasOutput = false
  const connection = new Duplex({
    read: () => carrier.resume(),
    write: (chunk: Buffer, _encoding, done) => {
      if (chunk.length === 0) return done()
      if (input === 'framed') carrier.write(frameLength(chunk.length))
      carrier.write(chunk, done)
    },
    final: (done) => {
      if (input === 'framed') carrier.write(frameLength(0), done)
      else carrier.end(done)
    },
    destroy: (error, done) => {
      carrier.destroy()
      done(error)
    },
  })
  const demultiplex = createDemultiplexer({
    stdout: (chunk) => {
      hasOutput = true
      if (!connection.push(chunk)) carrier.pause()
    },
    stderr: (chunk) => {
      said = (said + chunk).slice(0, STDERR_BYTES)
    },
  })
  carrier.on('data', demultiplex)
  carrier.on('error', (error) => connection.destroy(error))
  carrier.on('close', () => {
    if (hasOutput) connection.push(null)
    else connection.destroy(new Error(said.trim() || `${argv.join(' ')} ended at once in the container ${container}`))
  })
  return connection
}
