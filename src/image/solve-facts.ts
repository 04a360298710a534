import { PassThrough, Readable } from 'node:stream'
import { extract } from 'tar-stream'
import type { Architecture } from '../arch/index.ts'
import { exporters, llb, localDirs, registryAuth, secrets } from '../buildkit/index.ts'
import { readText } from '../log/index.ts'
import { aptSecrets } from './base/debian-mirror.ts'
import { KERNEL_LABEL, kernelFactsIn } from './labels.ts'
import { type KernelFacts, parseKernelConfig } from './preflight/kernel-facts.ts'
import { neededOptions } from './preflight/needs.ts'
import { parseSystemd, type RootfsFacts } from './preflight/rootfs.ts'
import type { Ingredient, KeyedIngredient } from './recipes/ingredient.ts'
import type { BuildContext } from './request.ts'

/** A kernel's configuration has a quarter of a million bytes. */
const FACT_MAX_BYTES = 8 * 1024 * 1024

/** From the label of an image with this kernel in a registry. */
export async function cachedFacts({ key }: KeyedIngredient, request: BuildContext): Promise<KernelFacts | undefined> {
  const refs = request.cache.from.filter(({ type }) => type === 'registry').map(({ attrs }) => attrs['ref'] ?? '')
  if (refs.length === 0) return undefined
  const attachables = [registryAuth({ configDir: request.dockerConfigDirectory })]
  await using buildkit = await request.builder.connect()
  const asked = refs.map((ref) => buildkit.remoteImage({ ref, attachables, signal: request.signal }))
  const images = await Promise.all(asked)
  return images
    .filter((image) => image?.labels[KERNEL_LABEL] === key)
    .map((image) => kernelFactsIn(image?.labels ?? {}))
    .find((facts) => facts !== undefined)
}

/** The part of the graph that is the kernel, and of its result the few files that images/kernel/pack.sh made for this. */
export async function solveFacts(kernel: KeyedIngredient, request: BuildContext): Promise<KernelFacts> {
  return toFacts(await solveFiles({ ...kernel, path: '/facts', name: '[kernel] facts' }, request), request.host.arch)
}

/** What `rootfsFacts` found in a rootfs. */
export async function solveRootfsFacts(ingredient: Ingredient, request: BuildContext): Promise<RootfsFacts> {
  const files = await solveFiles({ ...ingredient, path: '/', name: '[rootfs] facts' }, request)
  return { daemonJson: files.get('daemon.json'), systemd: parseSystemd(files.get('systemd')?.trim()) }
}

export interface SmallFiles extends Ingredient {
  /** The directory that they are in. */
  readonly path: string
  /** Shown in the progress. */
  readonly name: string
}

/** Few and small files out of a graph, by name. */
export async function solveFiles({ state, directories = {}, path, name }: SmallFiles, request: BuildContext) {
  const files = llb.scratch(request.host.arch.platform).file(llb.copy(state, path, '/', { contents: true }), { name })
  const archive = new PassThrough()
  const reading = readFiles(archive)
  // Of the two that fail together, the solve says why.
  reading.catch(() => {})
  await using buildkit = await request.builder.connect()
  await buildkit.solve({
    definition: files.definition(),
    attachables: [
      localDirs(directories),
      registryAuth({ configDir: request.dockerConfigDirectory }),
      secrets(aptSecrets(request.mirror)),
    ],
    cacheImports: request.cache.from,
    exporter: exporters.tar({ to: archive }),
    onStatus: request.onStatus,
    signal: request.signal,
  })
  return await reading
}

/** The files of a small archive, by name. */
async function readFiles(archive: Readable): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for await (const entry of archive.pipe(extract()))
    files.set(entry.header.name, await readText(Readable.from(entry), { maxBytes: FACT_MAX_BYTES }))
  return files
}

function toFacts(files: ReadonlyMap<string, string>, arch: Architecture): KernelFacts {
  const read = (name: string) => files.get(name)?.trim() ?? ''
  const config = files.get('config')
  return {
    release: read('release'),
    modules: read('modules') === 'present' ? 'present' : 'absent',
    config: config === undefined ? undefined : parseKernelConfig(config, neededOptions(arch)),
  }
}
