import { readdirSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Architecture } from '../../arch/index.ts'
import { type FileActions, llb, type State } from '../../buildkit/graph.ts'

/** `images/` of the package, wherever in it this module has come to be. */
const imagesDirectory = join(dirname(createRequire(import.meta.url).resolve('testkernels/package.json')), 'images')

/** Path of a file of `images/`. */
export function imageFile(path: string): string {
  return join(imagesDirectory, path)
}

export interface SourcesOptions {
  readonly arch: Architecture
  /** Names in the folder: what a step does not read must not make it run again. @default all */
  readonly only?: readonly string[]
}

/** Of `images/`; what is of one architecture alone is in a folder of its name. */
export type SourceFolder = 'guest' | 'door' | 'runner' | 'kernel' | 'disks' | `${'runner' | 'kernel'}/${string}`

/** A package's files do not change while it runs, and each start of a VM asks for them. */
const known = new Map<string, State>()

/**
 * The files of one folder of `images/`, as a state. Their content is part of the graph, so a change of any of them changes
 * the digest, and no session has to send them. Read once in a process.
 */
export function sources(folder: SourceFolder, options: SourcesOptions): State {
  const name = JSON.stringify([options.arch.name, folder, options.only])
  const state = known.get(name) ?? read(folder, options)
  known.set(name, state)
  return state
}

function read(folder: string, { arch, only }: SourcesOptions): State {
  const root = join(imagesDirectory, folder)
  const chain = addEntries(root, '', only ?? readdirSync(root), llb.mkdir('/src', { mode: 0o755 }))
  return llb.scratch(arch.platform).file(chain, { name: `[sources] images/${folder}` })
}

function addEntries(root: string, below: string, names: readonly string[], chain: FileActions): FileActions {
  let actions = chain
  for (const name of [...names].sort()) {
    const path = `${below}/${name}`
    const { mode } = statSync(join(root, path))
    if (statSync(join(root, path)).isDirectory()) {
      actions = addEntries(root, path, readdirSync(join(root, path)), actions.mkdir(`/src${path}`, { mode: 0o755 }))
    } else {
      // Git keeps one permission bit; what a umask made of the others must not change the digest.
      actions = actions.mkfile(`/src${path}`, readFileSync(join(root, path)), { mode: mode & 0o100 ? 0o755 : 0o644 })
    }
  }
  return actions
}
