// The environment of a test runner's worker is how its tests hear of their VM, so it is read and written here while they run. What a
// user says in it is read once, in src/options.

type Environment = Readonly<Record<string, string | undefined>>

/** Undefined for a variable that is not set, or empty. */
export function readVariable(name: string): string | undefined {
  return process.env[name] || undefined
}

/**
 * Sets these variables of this process, and takes away those that are undefined.
 * @returns what puts the former values back
 */
export function assignEnvironment(environment: Environment): () => void {
  const former = Object.fromEntries(Object.keys(environment).map((name) => [name, process.env[name]]))
  assign(environment)
  return () => assign(former)
}

function assign(environment: Environment): void {
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
}
