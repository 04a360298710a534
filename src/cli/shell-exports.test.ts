import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { shellExports } from './shell-exports.ts'

test('a shell that evaluates it has just these values', () => {
  const code = shellExports({ A: "it's $HOME", B: undefined })
  const output = execFileSync('sh', ['-c', `${code} printf '%s|%s' "$A" "\${B-unset}"`], {
    env: { ...process.env, B: 'x' },
  })
  expect(String(output)).toBe("it's $HOME|unset")
})
