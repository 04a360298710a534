import { expect, test } from 'vitest'
import { configDockerfile } from './image-config.ts'

test('only what is given is set', () => {
  expect(configDockerfile('x:1', {})).toBe('FROM x:1\n')
  expect(configDockerfile('x:1', { cmd: [] })).toBe('FROM x:1\nCMD []\n')
})

test('the entrypoint comes before the command, which it would reset', () => {
  expect(configDockerfile('x:1', { cmd: ['b'], entrypoint: ['/a'] })).toBe('FROM x:1\nENTRYPOINT ["/a"]\nCMD ["b"]\n')
})

test('values are taken as they stand', () => {
  expect(configDockerfile('x:1', { env: { A: '"$B" \\' } })).toBe('FROM x:1\nENV "A"="\\"\\$B\\" \\\\"\n')
})

test('a value cannot smuggle in another instruction', () => {
  expect(() => configDockerfile('x:1', { labels: { a: 'b\nRUN evil' } })).toThrow('line break')
  expect(configDockerfile('x:1', { cmd: ['a\nRUN evil'] })).toBe('FROM x:1\nCMD ["a\\nRUN evil"]\n')
})
