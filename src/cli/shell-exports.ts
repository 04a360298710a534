/** Shell code that gives a shell this environment: `eval "$(...)"`, or to be copied. */
export function shellExports(environment: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(environment)
    .map(([name, value]) =>
      value === undefined ? `unset ${name}\n` : `export ${name}='${value.replaceAll("'", "'\\''")}'\n`,
    )
    .join('')
}
