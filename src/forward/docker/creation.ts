import { existsSync } from 'node:fs'
import { request } from 'node:http'
import * as v from 'valibot'
import { startDeadline } from '../../lifetime/index.ts'
import { readText } from '../../log/index.ts'
import type { Destination, Streams } from '../../streams/index.ts'
import { BindNotMountedError, PortReservedError } from '../errors.ts'

const createLine = /^POST (?:\/v[\d.]+)?\/containers\/create(?:\?\S*)? HTTP\/1\.1\r\n/
const contentLength = /\r\ncontent-length: *(\d+)\r\n/i
const HEAD_END = '\r\n\r\n'
/** A container is described in a few thousand bytes. */
const MOST_BYTES = 1 << 20

const createBody = v.object({
  HostConfig: v.object({
    Binds: v.nullish(v.array(v.string())),
    Mounts: v.nullish(v.array(v.looseObject({ Type: v.optional(v.string()), Source: v.optional(v.string()) }))),
    PortBindings: v.nullish(
      v.record(v.string(), v.nullish(v.array(v.looseObject({ HostPort: v.optional(v.string()) })))),
    ),
  }),
})

export interface CreationCheckOptions {
  /** Whether the guest has nothing at a path. */
  readonly isAbsent: (path: string) => Promise<boolean>
  /** TCP ports of the guest by which its owner comes in. @default none */
  readonly reservedPorts?: readonly number[] | undefined
  /** Kernel entry that errors name. */
  readonly entry?: string | undefined
}

/** What is told each piece that a connection's client sends, and says when it may be passed on. */
export type CreationCheck = (piece: Buffer) => Promise<void> | undefined

/**
 * Refuses a container that is to have a path mounted which this machine has and its guest does not: dockerd would make an empty directory
 * there, and an engine on this machine would have mounted what is meant. So is one that is to publish a port of ours, which dockerd would call
 * taken.
 * @returns makes the check of one connection; it holds back the piece that completes such a request, and fails with BindNotMountedError or
 * PortReservedError
 */
export function checkCreation({ isAbsent, reservedPorts = [], entry }: CreationCheckOptions): () => CreationCheck {
  const check = async (paths: readonly string[], reserved: number | undefined) => {
    if (reserved !== undefined) throw portReserved(reserved, entry)
    for (const path of paths) if (await isAbsent(path)) throw notMounted(path, entry)
  }
  return () => {
    let begun: Buffer[] = []
    return (piece) => {
      if (begun.length === 0 && !createLine.test(piece.toString('latin1', 0, 1024))) return undefined
      begun.push(piece)
      const received = begun.length === 1 ? piece : Buffer.concat(begun)
      const body = bodyOf(received)
      if (body === 'incomplete' && received.length < MOST_BYTES) return undefined
      begun = []
      const parsed = v.safeParse(createBody, fromJson(body))
      if (!parsed.success) return undefined
      const paths = [...new Set(sourcesIn(parsed.output))].filter((path) => existsSync(path))
      const reserved = portsIn(parsed.output).find((port) => reservedPorts.includes(port))
      return paths.length === 0 && reserved === undefined ? undefined : check(paths, reserved)
    }
  }
}

function notMounted(path: string, entry: string | undefined): BindNotMountedError {
  return new BindNotMountedError({
    what: `a container is to have ${path} mounted, which is there on this machine and not in the virtual machine`,
    entry,
    remedy: `give the entry mounts: [{ host: '${path}', guest: '${path}' }], or of a directory above it; or copy the files into the container or the guest, or make a directory there first if it is the guest's that is meant`,
  })
}

function portReserved(port: number, entry: string | undefined): PortReservedError {
  return new PortReservedError({
    what: `a container is to publish port ${port}, by which testkernels comes into the virtual machine`,
    entry,
    remedy: 'publish another port: all others are free',
  })
}

/** Of no image that there is: such a container is not made. */
const NO_IMAGE = 'testkernels.invalid/none'
const ANSWER_DEADLINE_MS = 60_000
/** It is one sentence. What is longer does not come from a dockerd. */
const ANSWER_MAX_BYTES = 64 << 10

/**
 * Asks a guest's dockerd itself, which looks at a mount's source before it looks for the image: nothing is made either way. Where it does
 * not say so, the path is taken to be there.
 * @throws where the guest cannot be asked, or answers at such length that it cannot be dockerd
 */
export async function isAbsentIn(streams: Streams, destination: Destination, path: string): Promise<boolean> {
  using deadline = startDeadline({
    ms: ANSWER_DEADLINE_MS,
    onPassed: () => new Error(`dockerd did not say within ${ANSWER_DEADLINE_MS / 1000} s whether ${path} is there`),
  })
  const stream = await streams.open(destination, { signal: deadline.signal })
  const body = JSON.stringify({
    Image: NO_IMAGE,
    HostConfig: { Mounts: [{ Type: 'bind', Source: path, Target: '/testkernels' }] },
  })
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      const asked = request(
        {
          method: 'POST',
          path: '/containers/create',
          headers: { Host: 'docker', 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
          createConnection: () => stream,
          signal: deadline.signal,
        },
        (response) => readText(response, { maxBytes: ANSWER_MAX_BYTES }).then(resolve, reject),
      )
      asked.once('error', reject)
      asked.end(body)
    })
    return answer.includes('bind source path does not exist')
  } finally {
    stream.destroy()
  }
}

/** A client that does not say how long its body is sends it in chunks, which are nothing to warn of. */
function bodyOf(request: Buffer): string {
  const headLength = request.indexOf(HEAD_END)
  if (headLength < 0) return 'incomplete'
  const start = headLength + HEAD_END.length
  const length = Number(contentLength.exec(request.toString('latin1', 0, start))?.[1] ?? 0)
  return request.length < start + length ? 'incomplete' : request.toString('utf8', start, start + length)
}

type Creation = v.InferOutput<typeof createBody>

/** The TCP ports that a description of a container publishes. */
function portsIn({ HostConfig: { PortBindings } }: Creation): number[] {
  const bindings = Object.entries(PortBindings ?? {}).filter(([port]) => !/\/(?!tcp$)/.test(port))
  return bindings.flatMap(([, hosts]) => (hosts ?? []).map(({ HostPort }) => Number(HostPort)))
}

/** The paths that it has mounted. */
function sourcesIn({ HostConfig: { Binds, Mounts } }: Creation): string[] {
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
