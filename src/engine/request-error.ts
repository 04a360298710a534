/** The HTTP status of a request that the engine refused; `undefined` for any other error. */
export function statusOf(error: unknown): number | undefined {
  const status = property(error, 'statusCode')
  return typeof status === 'number' ? status : undefined
}

/** The system's error code, such as `ECONNREFUSED`, of a request that did not get through. */
export function errorCodeOf(error: unknown): string | undefined {
  const code = property(error, 'code')
  return typeof code === 'string' ? code : undefined
}

function property(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined
}
