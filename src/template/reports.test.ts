import { expect, test } from 'vitest'
import { describeUnusable } from './reports.ts'

function ended(exitCode: number | undefined, ...lines: string[]) {
  const stderr = { kept: lines, tail: () => lines.join('\n') }
  return describeUnusable({ exitCode, oomKilled: false }, { stderr, entry: 'v1' })
}

test('a template that was never made is missing', () => {
  expect(ended(79, 'testkernels: template: missing').why).toBe('missing')
})

test('one whose files changed is damaged, and says which', () => {
  const error = ended(79, 'noise', 'testkernels: template: damaged: mem.img is not what was saved')
  expect(error.why).toBe('damaged')
  expect(error.message).toContain('v1: its template is damaged: mem.img is not what was saved')
})

test('one that QEMU cannot load is dead, with what QEMU said', () => {
  const error = ended(1, 'qemu-system-x86_64: Unknown savevm section')
  expect(error.why).toBe('dead')
  expect(error.message).toContain('Unknown savevm section')
})
