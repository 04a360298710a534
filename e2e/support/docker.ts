import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import Docker from 'dockerode'

const run = promisify(execFile)
const engine = new Docker()

/** Removes images of the engine when it is disposed: those under such a name that were not there when it was made. */
export async function removingImages(reference: string): Promise<AsyncDisposable> {
  const list = async () => {
    const images = await engine.listImages({ filters: { reference: [reference] } })
    return images.flatMap(({ RepoTags }) => RepoTags ?? [])
  }
  const before = new Set(await list())
  return {
    [Symbol.asyncDispose]: async () => {
      for (const tag of await list()) if (!before.has(tag)) await engine.getImage(tag).remove({ force: true })
    },
  }
}

/** What the docker command line of this machine prints when it talks to a VM. */
export async function docker(
  { environment }: { readonly environment: Readonly<Record<string, string | undefined>> },
  args: readonly string[],
): Promise<string> {
  const { stdout } = await run('docker', args, { env: { ...process.env, ...environment } })
  return stdout.trim()
}
