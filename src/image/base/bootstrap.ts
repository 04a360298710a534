import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Host } from '../../host/index.ts'
import { type Logger, silentLogger } from '../../log/index.ts'
import { BOOTSTRAP_TOOLS, type BootstrapRequest, type BootstrapTool } from './bootstrap-tools.ts'
import { BootstrapError } from './errors.ts'
import { startProgram } from './program.ts'

export interface BootstrapOptions extends Omit<BootstrapRequest, 'arch'> {
  readonly host: Pick<Host, 'arch' | 'images'>
  /** Name of the image to make. */
  readonly ref: string
  readonly labels: Readonly<Record<string, string>>
  readonly signal?: AbortSignal | undefined
  readonly log?: Logger | undefined
}

/**
 * Makes a minimal Debian from its packages and streams it into the engine's store, never through this machine's disk.
 * @returns the id of the image
 * @throws BootstrapError; ImageTransferError
 */
export async function bootstrap(options: BootstrapOptions): Promise<string> {
  const { host, suite, mirror, ref, labels, signal, log = silentLogger } = options
  const tool = await findTool()
  if (tool === undefined) {
    throw new BootstrapError({
      what: `none of the programs that can make a Debian image is installed: ${BOOTSTRAP_TOOLS.map(({ name }) => name).join(', ')}`,
      remedy: 'install one: `sudo apt-get install mmdebstrap`',
    })
  }
  log.info(`making a minimal Debian ${suite} with ${tool.name} from ${withoutPassword(mirror)}`)
  await using program = await startProgram(tool.command({ arch: host.arch.name, suite, mirror }))
  let failure: unknown
  program.output.on('error', (error) => {
    failure = error
  })
  const changes = ['CMD ["bash"]']
  try {
    return await host.images.import(program.output, { ref, labels, changes, ...(signal && { signal }) })
  } catch (cause) {
    signal?.throwIfAborted()
    // Of the two that fail together, the program says why.
    if (failure === undefined) throw cause
    throw new BootstrapError({
      what: `${tool.name} did not make a Debian ${suite}`,
      remedy: `check that ${withoutPassword(mirror)} can be reached and has ${suite}, and that this user may run ${tool.name}`,
      cause: failure,
      output: await program.messages(),
    })
  }
}

async function findTool(): Promise<BootstrapTool | undefined> {
  for (const tool of BOOTSTRAP_TOOLS) {
    const found = await promisify(execFile)('sh', ['-c', 'command -v "$1"', 'sh', tool.name]).catch(() => undefined)
    if (found !== undefined) return tool
  }
  return undefined
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^/@]*@/, '//')
}
