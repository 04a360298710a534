import { stripVTControlCharacters } from 'node:util'
import { expect, test } from 'vitest'
import type { CheckResult } from './check.ts'
import { Report, reportJson } from './report.ts'

const kvm: CheckResult = {
  id: 'kvm',
  title: 'KVM',
  group: 'Virtual machines',
  looked: 'looked at',
  status: 'warning',
  message: 'is not used, because the guest hung',
  remedy: 'leave it, or give the machine one that works',
}
const node: CheckResult = {
  ...kvm,
  id: 'node',
  title: 'Node',
  group: 'This machine',
  status: 'ok',
  message: 'v20.19.0',
}
const ok = (({ remedy: _, ...rest }) => rest)(node)
const unseen: CheckResult = { ...ok, id: 'memory', title: 'Memory', looked: 'not looked at', status: 'warning' }

function text(results: readonly CheckResult[], columns: number, colors: 'on' | 'off' = 'off'): string {
  const report = new Report(['KVM', 'Node'], { columns, colors })
  return results.map((result) => report.add(result)).join('') + report.end()
}

test('groups, marks, and the remedy below what is wrong', () => {
  expect(text([ok, kvm], 80)).toBe(
    `This machine
  ✓ Node  v20.19.0

Virtual machines
  ! KVM   is not used, because the guest hung
          → leave it, or give the machine one that works

1 warning, 1 ok
`,
  )
})

test('lines are broken between words, and go on below one another', () => {
  expect(text([kvm], 42)).toBe(
    `Virtual machines
  ! KVM   is not used, because the guest
          hung
          → leave it, or give the machine
            one that works

1 warning, 0 ok
`,
  )
})

test('what was not looked at is named in the end', () => {
  expect(text([ok, unseen], 80)).toContain('Not looked at, because the engine does not answer: Memory.')
})

test('without a warning all is well', () => {
  expect(text([ok], 80)).toMatch(/\nAll is well\n$/)
})

test('colours are only added', () => {
  const colored = text([ok, kvm], 80, 'on')
  expect(colored).not.toBe(text([ok, kvm], 80))
  expect(stripVTControlCharacters(colored)).toBe(text([ok, kvm], 80))
})

test('for programs: id, status, message and remedy of each, null where there is none', () => {
  expect(JSON.parse(reportJson([ok, kvm]))).toEqual({
    checks: [
      { id: 'node', status: 'ok', message: 'v20.19.0', remedy: null },
      { id: 'kvm', status: 'warning', message: kvm.message, remedy: kvm.remedy },
    ],
  })
})
