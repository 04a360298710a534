import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { shellCommand } from './spawn.ts'

test('a POSIX shell makes exactly the same arguments of it', () => {
  const words = [
    '',
    ' ',
    "it's",
    "''",
    '"x"',
    '$HOME',
    '`id`',
    '$(id)',
    '\\',
    '\\n',
    'a\nb',
    '*',
    '~',
    '#',
    '!',
    '-n',
    'é',
    ';',
    '&',
  ]
  const script = 'process.stdout.write(JSON.stringify(process.argv.slice(1)))'
  const { stdout } = spawnSync('/bin/sh', ['-c', shellCommand([process.execPath, '-e', script, '--', ...words])])
  expect(JSON.parse(stdout.toString())).toEqual(words)
})

test('the program takes the place of the shell', () => {
  const { signal } = spawnSync('/bin/sh', ['-c', shellCommand(['sh', '-c', 'kill -9 $$'])])
  expect(signal).toBe('SIGKILL')
})

test('refuses what no command line can say', () => {
  expect(() => shellCommand([])).toThrow('it has no program')
  expect(() => shellCommand([''])).toThrow('it has no program')
  expect(() => shellCommand(['echo', 'a\0b'])).toThrow('NUL byte')
})
