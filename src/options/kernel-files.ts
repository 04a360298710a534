import { existsSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

/** What else there is of a kernel. */
export interface KernelFiles {
  readonly modules?: string
  readonly config?: string
  readonly systemMap?: string
}

/** Looks where packages and `make install` put what belongs to a kernel, seen from where its vmlinuz is. */
export function besideKernel(vmlinuz: string, release: string): KernelFiles {
  const directory = dirname(vmlinuz)
  const roots = basename(directory) === 'boot' ? [directory, dirname(directory)] : [directory]
  const modules = [
    join(directory, 'modules', release),
    join(directory, 'modules'),
    ...roots.flatMap((root) => [join(root, 'lib/modules', release), join(root, 'usr/lib/modules', release)]),
    // Distributions that keep all of a kernel beside its modules.
    directory,
  ].find(hasModules)
  const file = (name: string) => [join(directory, `${name}-${release}`), join(directory, name)].find(isFile)
  const config = file('config')
  const systemMap = file('System.map')
  return {
    ...(modules !== undefined && { modules: realpathSync(modules) }),
    ...(config !== undefined && { config: realpathSync(config) }),
    ...(systemMap !== undefined && { systemMap: realpathSync(systemMap) }),
  }
}

/** As `make modules_install` leaves it. */
function hasModules(directory: string): boolean {
  return isFile(join(directory, 'modules.order')) || isFile(join(directory, 'modules.dep'))
}

export function isFile(path: string): boolean {
  return existsSync(path) && statSync(path).isFile()
}

export function isDirectory(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory()
}
