import { type ExecFileException, execFile } from 'node:child_process'
import { type IncomingMessage, type RequestOptions, request } from 'node:http'
import { buffer } from 'node:stream/consumers'
import Docker from 'dockerode'
import { onTestFinished } from 'vitest'

/** Emulated guests are slow, and a loaded machine makes them slower still. */
export const scenarioDeadlineMs = 180_000

function fromEnvironment(name: string): string {
  const value = process.env[name]
  if (value === undefined || value === '')
    throw new Error(`${name} is not set: these tests run inside a virtual machine's suite`)
  return value
}

/** Path of the forwarded socket. */
export function socketPath(): string {
  return fromEnvironment('DOCKER_HOST').replace(/^unix:\/\//, '')
}

/** An image of the guest with a shell and the usual small programs. */
export function image(): string {
  return fromEnvironment('TESTKERNELS_E2E_IMAGE')
}

export function docker(): Docker {
  return new Docker({ socketPath: socketPath() })
}

/** One request at the forwarded socket. */
export async function ask(path: string, options: RequestOptions = {}): Promise<{ status: number; body: string }> {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ agent: false, ...options, socketPath: socketPath(), path }, resolve)
      .once('error', reject)
      .end()
  })
  return { status: response.statusCode ?? 0, body: (await buffer(response)).toString() }
}

export interface CliResult {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: string
}

/** Runs docker's own command-line client, with `stdin` as its input. */
export function cli(
  args: readonly string[],
  { stdin, env = {} }: { stdin?: Buffer; env?: NodeJS.ProcessEnv } = {},
): Promise<CliResult> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, encoding: 'buffer', maxBuffer: 1 << 30 } as const
    const child = execFile('docker', args, options, (error: ExecFileException | null, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : Number(error.code ?? 1), stdout, stderr: stderr.toString() }),
    )
    // A test that times out does not wait for it any more.
    onTestFinished(() => void child.kill('SIGKILL'))
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin)
  })
}
