import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { TestkernelsError } from '../../../errors/index.ts'
import type { Credentials } from './credentials.ts'

/** A program that docker's configuration names for credentials did not give any. */
export class CredentialHelperError extends TestkernelsError {
  readonly code = 'CREDENTIAL_HELPER'
}

/** A helper may ask its user for a password, but not for ever. */
const HELPER_TIMEOUT_MS = 60_000

/** Runs `docker-credential-NAME get`. Undefined when it knows of none for this registry. */
export async function askCredentialHelper(name: string, registry: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`
  const { stdout, stderr, exitCode } = await run(program, registry).catch((cause: unknown) => {
    throw failed(program, registry, { cause })
  })
  if (exitCode !== 0) {
    if (/credentials not found/i.test(stdout)) return undefined
    throw failed(program, registry, { output: `${stdout}${stderr}` })
  }
  const { Username: username = '', Secret: secret = '' } = parse(stdout, program, registry)
  // The helpers' way to say that the secret is an identity token.
  return username === '<token>' ? { username: '', secret } : { username, secret }
}

async function run(program: string, input: string) {
  const helper = spawn(program, ['get'], { timeout: HELPER_TIMEOUT_MS })
  const exited = new Promise<number | null>((resolve, reject) => {
    helper.once('error', reject)
    helper.once('close', resolve)
  })
  // A helper that ends without reading is judged by its exit code.
  helper.stdin.on('error', () => {})
  helper.stdin.end(input)
  const [exitCode, stdout, stderr] = await Promise.all([exited, text(helper.stdout), text(helper.stderr)])
  return { stdout, stderr, exitCode }
}

function parse(stdout: string, program: string, registry: string): { Username?: string; Secret?: string } {
  try {
    return JSON.parse(stdout) as { Username?: string; Secret?: string }
  } catch {
    // What it printed may be a secret: it stays out of the message.
    throw failed(program, registry, { cause: new Error('its answer is not JSON') })
  }
}

function failed(program: string, registry: string, details: { cause?: unknown; output?: string }) {
  return new CredentialHelperError({
    ...details,
    what: `${program} gave no credentials for ${registry}`,
    remedy: `install or repair ${program}, or take it out of credHelpers and credsStore in docker's config.json`,
  })
}
