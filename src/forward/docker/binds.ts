import { existsSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { relative } from 'node:path'
import * as v from 'valibot'
import type { Logger } from '../../log/index.ts'

const createLine = /^POST (?:\/v[\d.]+)?\/containers\/create(?:\?\S*)? HTTP\/1\.1\r\n/
const contentLength = /\r\ncontent-length: *(\d+)\r\n/i
const HEAD_END = '\r\n\r\n'
/** A container is described in a few thousand bytes. */
const MOST_BYTES = 1 << 20

const createBody = v.object({
  HostConfig: v.object({
    Binds: v.nullish(v.array(v.string())),
    Mounts: v.nullish(v.array(v.looseObject({ Type: v.optional(v.string()), Source: v.optional(v.string()) }))),
  }),
})

export interface BindWatchOptions {
  readonly log: Logger
  /** Directories whose files are this machine's alone. @default those of work, of the user and of temporary files */
  readonly ownDirectories?: readonly string[]
}

/**
 * Warns, once for each path, of a container that is to have a path mounted which this machine has: it gets what the guest has there, which
 * is an empty directory nearly always. An engine on this machine would have mounted the other.
 * @returns makes what is told each piece that a connection's client sends
 */
export function watchBinds({
  log,
  ownDirectories = machineDirectories(),
}: BindWatchOptions): () => (piece: Buffer) => void {
  const warned = new Set<string>()
  const warn = (path: string) => {
    if (warned.has(path) || !ownDirectories.some((directory) => isIn(path, directory)) || !existsSync(path)) return
    warned.add(path)
    log.warn(
      `a container has ${path} mounted as the guest has it, not as this machine: copy files into the container, or make them part of the image or of the rootfs`,
    )
  }
  return () => {
    let begun: Buffer[] = []
    return (piece) => {
      if (begun.length === 0 && !createLine.test(piece.toString('latin1', 0, 1024))) return
      begun.push(piece)
      const request = begun.length === 1 ? piece : Buffer.concat(begun)
      const body = bodyOf(request)
      if (body === 'incomplete' && request.length < MOST_BYTES) return
      begun = []
      for (const path of sourcesIn(body)) warn(path)
    }
  }
}

function machineDirectories(): string[] {
  return [process.cwd(), homedir(), tmpdir()]
}

/** A root directory would have all in it, the guest's own directories too. */
function isIn(path: string, directory: string): boolean {
  const way = relative(directory, path)
  return directory !== '/' && way !== '..' && !way.startsWith('../')
}

/** A client that does not say how long its body is sends it in chunks, which are nothing to warn of. */
function bodyOf(request: Buffer): string {
  const headLength = request.indexOf(HEAD_END)
  if (headLength < 0) return 'incomplete'
  const start = headLength + HEAD_END.length
  const length = Number(contentLength.exec(request.toString('latin1', 0, start))?.[1] ?? 0)
  return request.length < start + length ? 'incomplete' : request.toString('utf8', start, start + length)
}

/** The paths that a description of a container has mounted. */
function sourcesIn(body: string): string[] {
  const parsed = v.safeParse(createBody, fromJson(body))
  if (!parsed.success) return []
  const { Binds, Mounts } = parsed.output.HostConfig
  const bound = (Binds ?? []).map((bind) => bind.split(':', 1)[0] ?? '')
  const mounted = (Mounts ?? []).flatMap(({ Type, Source }) =>
    Type === 'bind' && Source !== undefined ? [Source] : [],
  )
  // The others are names of volumes.
  return [...bound, ...mounted].filter((source) => source.startsWith('/'))
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
