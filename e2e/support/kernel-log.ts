// What is in a kernel's log, whoever listened to it: its boot as well, and what came before a template was saved.
import { type KernelReport, ReportCutter } from '../../src/kernel-log/index.ts'

/** `<4>[   12.345678] text`: facility and level, seconds since the kernel's start. */
const LINE = /^<(\d+)>\[ *(\d+)\.(\d{6})\] (.*)$/

/** Facilities other than the kernel's begin there. */
const FIRST_OF_OTHERS = 8

/** The reports in it. @param log what `dmesg -r` prints @throws where it is no log of a kernel from its start */
export function reportsIn(log: string): readonly KernelReport[] {
  if (!log.includes('] Linux version ')) throw new Error(`no log from the start: ${log.slice(0, 200)}`)
  const cutter = new ReportCutter()
  const records = log.split('\n').flatMap((line, sequence) => {
    const [, priority, seconds, micros, text = ''] = LINE.exec(line) ?? []
    if (text === '' || Number(priority) >= FIRST_OF_OTHERS) return []
    return { level: Number(priority), sequence, uptimeUs: Number(`${seconds}${micros}`), text }
  })
  return [...records.flatMap((record) => cutter.push(record)), ...cutter.flush()]
}
