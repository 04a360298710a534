import { createRequire } from 'node:module'
import { isAbsolute, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { InvalidOptionError } from '../options/index.ts'

/**
 * The file of a test environment, found as Jest finds it: `node` is the package jest-environment-node.
 * @param name a package's name, with or without its prefix, or a path
 * @param rootDir of the project
 * @throws InvalidOptionError
 */
export function findTestEnvironment(name: string, rootDir = process.cwd()): string {
  const root = resolve(rootDir)
  const path = name.replace('<rootDir>', root)
  const places = isAbsolute(path) || path.startsWith('.') ? [root] : [root, process.cwd(), ...jestsOwn()]
  const names = isAbsolute(path) || path.startsWith('.') ? [path] : [`jest-environment-${path}`, path]
  for (const place of places) {
    const from = createRequire(pathToFileURL(join(place, 'package.json')))
    for (const candidate of names) {
      const found = resolved(from, candidate)
      if (found !== undefined) return found
    }
  }
  throw new InvalidOptionError({
    what: `there is no test environment '${name}'`,
    remedy: `install the package jest-environment-${name}, or name a file by its path`,
  })
}

/** Packages of Jest's that depend on its environment for Node; it need not be where the project could see it. */
function jestsOwn(): string[] {
  const loaded = Object.keys(createRequire(import.meta.url).cache)
  return loaded.filter((path) => /[\\/]jest-(config|runner)[\\/]build[\\/]index\.js$/.test(path))
}

function resolved(from: NodeJS.Require, name: string): string | undefined {
  try {
    return from.resolve(name)
  } catch {
    return undefined
  }
}
