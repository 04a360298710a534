import type { Duplex } from 'node:stream'
import { reasonOf, TestkernelsError } from '../errors/index.ts'
import { neverAborted, reasonInTime, Slots } from '../lifetime/index.ts'
import type { Logger } from '../log/index.ts'
import type { MountAccess, MountOptions } from '../options/index.ts'
import { StreamRefusedError, type Streams } from '../streams/index.ts'
import { answerOf } from './answers.ts'
import { errnoOf, FuseProtocolError, type FuseRequest, requestsIn } from './requests.ts'
import { Share } from './share.ts'
import { SharedTree } from './shared-tree.ts'

/** A directory of this machine cannot be mounted in a guest. */
export class MountFailedError extends TestkernelsError {
  readonly code = 'MOUNT_FAILED'
}

export interface MountRequest {
  readonly streams: Streams
  readonly mount: MountOptions
  readonly log: Logger
  /** Calls the mounting off; what is mounted stays. */
  readonly signal: AbortSignal
  /** Aborts when the guest is gone, which ends the mount for no reason of its own. */
  readonly gone: AbortSignal
  /** Kernel entry that errors name. */
  readonly entry: string
}

/** A directory that a guest has, until it is disposed. */
export interface MountedDirectory extends AsyncDisposable {
  /** Resolves when the guest has it no more, whatever the reason. */
  readonly ended: Promise<void>
}

/**
 * Mounts a directory of this machine in a guest, whose kernel asks this process for all that is in it.
 * @throws MountFailedError; what `streams.open` throws
 */
export async function mountDirectory(request: MountRequest): Promise<MountedDirectory> {
  const { streams, mount, log, signal, gone } = request
  const { host, guest, access = 'read-only' } = mount
  const tree = await SharedTree.open(host).catch((cause: unknown) => {
    throw notMounted(request, cause, `look whether ${host} is a directory that this user may read`)
  })
  let stream: Duplex
  try {
    stream = await streams.open({ kind: 'directory', path: guest, access }, { signal })
  } catch (thrown) {
    await tree[Symbol.asyncDispose]()
    if (!(thrown instanceof StreamRefusedError)) throw thrown
    throw notMounted(request, thrown.cause, remedyFor(String(thrown.cause), guest))
  }
  const disposal = new AbortController()
  const ended = serve(stream, tree, access)
    .then(() => new Error('it was unmounted'))
    .catch((thrown: unknown) => thrown)
    .then(async (reason) => {
      const expected = AbortSignal.any([gone, disposal.signal])
      await reasonInTime(expected, reason)
      if (!expected.aborted) log.warn(`${host} is no longer at ${guest} of the guest: ${reasonOf(reason)}`)
    })
  return {
    ended,
    [Symbol.asyncDispose]: async () => {
      disposal.abort()
      stream.destroy()
      await ended
    },
  }
}

function notMounted({ mount, entry }: MountRequest, cause: unknown, remedy: string): MountFailedError {
  const what = `${mount.host} cannot be mounted at ${mount.guest} of the virtual machine`
  return new MountFailedError({ what, entry, cause: reasonOf(cause), remedy })
}

/** By what images/door/share.c says. */
function remedyFor(reason: string, guest: string): string {
  if (reason.startsWith('/dev/fuse'))
    return 'take a kernel with FUSE: CONFIG_FUSE_FS, built in, or as a module that comes with it'
  return `name another path than ${guest}, where the guest can have a directory`
}

/** Requests that are worked on at a time: no more is read from the guest before the answer to one has left. */
const MOST_REQUESTS = 64

/**
 * Answers a guest's requests until its stream ends, and closes the tree.
 * @throws FuseProtocolError; what the stream fails with
 */
export async function serve(stream: Duplex, tree: SharedTree, access: MountAccess): Promise<void> {
  const share = new Share(tree, access)
  const slots = new Slots(MOST_REQUESTS)
  const working = new Set<Promise<void>>()
  // Whoever reads it hears of it.
  stream.on('error', () => {})
  try {
    for await (const request of requestsIn(stream)) {
      const slot = await slots.take(neverAborted())
      const work = answer(stream, share, request)
        .catch((thrown) => void stream.destroy(thrown))
        .finally(() => {
          slot[Symbol.dispose]()
          working.delete(work)
        })
      working.add(work)
    }
  } finally {
    stream.destroy()
    await Promise.all(working)
    await share.close()
    await tree[Symbol.asyncDispose]()
  }
}

/** Resolves when the answer has left. @throws FuseProtocolError */
async function answer(stream: Duplex, share: Share, request: FuseRequest): Promise<void> {
  const { unique } = request
  const message = await share.answer(request).then(
    (done) => (done === 'unanswered' ? undefined : answerOf(unique, 0, done)),
    (thrown) => {
      if (thrown instanceof FuseProtocolError) throw thrown
      return answerOf(unique, errnoOf(thrown))
    },
  )
  // One that nobody can have any more is nothing to tell of here.
  if (message !== undefined) await new Promise<void>((resolve) => stream.write(message, () => resolve()))
}
