import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What the docker command line of this machine prints when it talks to a VM. */
export async function docker(
  { environment }: { readonly environment: Readonly<Record<string, string | undefined>> },
  args: readonly string[],
): Promise<string> {
  const { stdout } = await run('docker', args, { env: { ...process.env, ...environment } })
  return stdout.trim()
}
