export { type ReportKind, reportKinds, slownessKinds } from './kinds.ts'
export { type KernelLogRecord, type KernelReport, ReportCutter } from './reports.ts'
