import { expect, test } from 'vitest'
import { neverAborted } from '../lifetime/index.ts'
import { describeUnusable, makingOf } from './reports.ts'

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

test('another who makes a template and is stopped is not waited for without end', async () => {
  const said = ['testkernels: template: waiting', 'testkernels: template: waiting']
  const stderr = async function* () {
    yield* said
    await new Promise(() => {})
  }
  const box = { stderr: Object.assign(stderr(), { kept: said, tail: () => '' }), exited: new Promise<never>(() => {}) }
  let told = 0
  const onWaiting = () => void told++
  const turn = makingOf(box, { onWaiting, entry: 'v1', signal: neverAborted(), turnTimeoutMs: 20 })
  await expect(turn).rejects.toMatchObject({ code: 'TEMPLATE_NOT_MADE', message: expect.stringContaining('stopped') })
  expect(told).toBe(1)
})
