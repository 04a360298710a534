export {
  type Deadline,
  type DeadlineOptions,
  neverAborted,
  orAborted,
  reasonInTime,
  sayWhatKeeps,
  startDeadline,
  waitingFor,
  whenAborted,
} from './deadline.ts'
export { Disposals } from './disposals.ts'
export { keepAlive } from './keep-alive.ts'
export { Slots, untilClosed } from './slots.ts'
