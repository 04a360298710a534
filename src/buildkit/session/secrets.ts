import { readFile } from 'node:fs/promises'
import { TestkernelsError } from '../../errors/index.ts'
import { Secrets } from '../gen/secrets_pb.ts'
import { type Attachable, NotFound } from './services.ts'

/** Where the value of a secret comes from when a step asks for it. */
export type SecretSource =
  | { readonly value: string | Uint8Array }
  | { readonly file: string }
  /** A variable of the environment that is given along. */
  | { readonly env: string }

export interface SecretsOptions {
  /** What `env` sources are looked up in. @default nothing */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** The value of a secret cannot be had, or is too large. */
export class SecretError extends TestkernelsError {
  readonly code = 'SECRET'
}

/** BuildKit's own limit. */
const MAX_BYTES = 500 * 1024

/** Serves secrets by id to the mounts made with `llb.secret`. They enter no image, no cache and no log. */
export function secrets(
  sources: Readonly<Record<string, SecretSource>>,
  { environment = {} }: SecretsOptions = {},
): Attachable {
  return {
    register: (services) =>
      services.unary(Secrets.method.getSecret, async ({ id }) => {
        const source = Object.hasOwn(sources, id) ? sources[id] : undefined
        if (source === undefined) throw new NotFound(`secret ${id} was not given`)
        const data = await read(id, source, environment)
        if (data.byteLength > MAX_BYTES)
          throw new SecretError({
            what: `the secret ${id} has more than ${MAX_BYTES} bytes`,
            remedy: 'give a smaller one',
          })
        return { data }
      }),
  }
}

async function read(
  id: string,
  source: SecretSource,
  environment: NonNullable<SecretsOptions['environment']>,
): Promise<Uint8Array> {
  if ('value' in source) return typeof source.value === 'string' ? Buffer.from(source.value) : source.value
  if ('env' in source) {
    const value = environment[source.env]
    if (value === undefined)
      throw new SecretError({ what: `the secret ${id} is not set`, remedy: `set the variable ${source.env}` })
    return Buffer.from(value)
  }
  return readFile(source.file).catch((cause: unknown) => {
    throw new SecretError({ what: `cannot read the secret ${id}`, cause, remedy: `make ${source.file} readable` })
  })
}
