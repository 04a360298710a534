import type { Images } from '../host/index.ts'
import { registryCredentials } from '../image/index.ts'
import { InvalidOptionError, parseCacheReference, parseKernelEntry, withConfig } from '../options/index.ts'
import { openSession, prepareImage } from '../vm/image.ts'
import type { Working } from './execute.ts'

export interface BuildArguments extends Working {
  readonly kernel: string
  /** Fragments of the kernel's configuration. */
  readonly config: readonly string[]
  /** The other options of the entry, still to be checked. */
  readonly options: Readonly<Record<string, unknown>>
  /** Further names for the image. */
  readonly tags: readonly string[]
  /** Whether those names are pushed. */
  readonly push: boolean
  /** Build caches, still to be checked. */
  readonly cacheFrom: readonly string[]
  readonly cacheTo: readonly string[]
}

/** Prints the image's id on standard output, and nothing else there. */
export async function build(args: BuildArguments): Promise<number> {
  const { kernel, config, options, tags, push, settings, log, progress, signal } = args
  // Which controllers it needs is up to those who run it.
  const entry = parseKernelEntry('build', { ...options, kernel: withConfig(kernel, config), controllers: 'partial' })
  // All that can be wrong before the build, which may take minutes.
  checkNames(tags, push)
  const cache = cachesOf(args)
  const onBuildStatus = progress.update.bind(progress)
  const session = await openSession({ settings, log, signal, onBuildStatus })
  const { images } = session.host
  const image = await prepareImage({ session, entry, cache }, { log, signal })
  // Or its last picture would take lines away.
  progress.end()
  for (const tag of tags) await images.tag(image.ref, tag)
  if (push) await pushAll(tags, images, args)
  process.stdout.write(`${(await images.inspect(image.ref))?.id}\n`)
  return 0
}

function cachesOf({ cacheFrom, cacheTo, settings: { environment } }: BuildArguments) {
  const from = cacheFrom.map((text) =>
    parseCacheReference(text, { name: '--cache-from', direction: 'from', environment }),
  )
  const to = cacheTo.map((text) => parseCacheReference(text, { name: '--cache-to', direction: 'to', environment }))
  // A cache that is asked for by name is to be written, image or not.
  return { from, to, solve: to.length > 0 ? 'always' : 'when missing' } as const
}

async function pushAll(tags: readonly string[], images: Images, { settings, log, signal }: Working): Promise<void> {
  const credentials = registryCredentials(settings.dockerConfigDirectory)
  for (const tag of tags) {
    log.info(`pushing ${tag}`)
    await images.push(tag, { credentials, signal, log })
  }
}

/** `[HOST[:PORT]/]NAME[:TAG]`, as the engine takes it. */
const IMAGE_NAME = /^(?:[a-zA-Z0-9.-]+(?::\d+)?\/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[\w][\w.-]{0,127})?$/

function checkNames(tags: readonly string[], push: boolean): void {
  const wrong = tags.find((tag) => !IMAGE_NAME.test(tag))
  if (wrong !== undefined) {
    throw new InvalidOptionError({
      what: `'${wrong}' cannot be the name of an image`,
      remedy: 'write --tag as NAME or NAME:TAG, with NAME in lower case',
    })
  }
  if (push && tags.length === 0) {
    throw new InvalidOptionError({
      what: '--push has nothing to push',
      remedy: 'name the image with --tag, such as --tag registry.example.org/kernel:1',
    })
  }
}
