export { type Deadline, type DeadlineOptions, orAborted, startDeadline } from './deadline.ts'
export { Disposals } from './disposals.ts'
export { Slots } from './slots.ts'
