/**
 * One command line of which a POSIX shell makes exactly these arguments. The shell becomes the program, so that signals
 * and the way it ends are the program's own.
 * @throws RangeError for a line that cannot be written
 */
export function shellCommand(argv: readonly string[]): string {
  if (argv.length === 0 || argv[0] === '') throw new RangeError('a command needs the name of a program')
  if (argv.some((word) => word.includes('\0'))) throw new RangeError('an argument of a command has a NUL byte')
  return `exec ${argv.map(quote).join(' ')}`
}

function quote(word: string): string {
  return /^[\w@%+:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}
