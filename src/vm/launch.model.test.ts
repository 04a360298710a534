// Whatever is done with VMs, in whatever order, and whatever becomes of their boxes: nothing is left of them, no pool grows above its
// count, nothing is waited for without an end, and every error is one of ours.
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TestkernelsError } from '../errors/index.ts'
import { ContainerNotStartedError } from '../host/index.ts'
import { orAborted } from '../lifetime/index.ts'
import type { Checkpoint } from './checkpoint.ts'
import { CLONE_NEEDS_MIB } from './pool/admission.ts'
import type { SpareReservation } from './start.ts'
import type { StartedKernelVm } from './started-kernel-vm.ts'
import type { Fate } from './testing/fake-guest-image.ts'
import { FakeSession } from './testing/fake-session.ts'

const RUNS = 30
const RUNS_DEADLINE_MS = 240_000
/** What is not over by then never will be: the longest wait of a start is its boot timeout. */
const OPEN_DEADLINE_MS = 20_000
const BOOT_TIMEOUT_MS = 1_000

class CalledOff extends Error {}

const refused = new ContainerNotStartedError({ what: 'the engine did not start a container', remedy: 'none' })
const milliseconds = fc.nat(40)
const fate = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Fate>({ kind: 'well' }) },
  { weight: 2, arbitrary: milliseconds.map((ms): Fate => ({ kind: 'late', ms })) },
  { weight: 2, arbitrary: milliseconds.map((ms): Fate => ({ kind: 'dies', ms })) },
  { weight: 1, arbitrary: fc.nat(18).map((answers): Fate => ({ kind: 'hangs', answers })) },
  { weight: 1, arbitrary: fc.constant<Fate>({ kind: 'refused', error: refused }) },
)

const steps = [
  ...(['launch', 'fork', 'checkpoint', 'fork checkpoint', 'remove', 'stop', 'kill', 'settle'] as const),
  ...(['reserve', 'resize', 'unreserve'] as const),
] as const
interface Step {
  readonly what: (typeof steps)[number]
  /** Which of the VMs or checkpoints that there are. */
  readonly which: number
  /** When it is called off; undefined: never. */
  readonly calledOffAfterMs: number | undefined
}
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(...steps),
  which: fc.nat(7),
  calledOffAfterMs: fc.option(milliseconds, { nil: undefined, freq: 3 }),
})
const story = fc.record({
  /** Whether there is a VM, and a template, before anything can go wrong. */
  begins: fc.constantFrom('with a VM', 'with nothing'),
  spares: fc.nat(2),
  fates: fc.array(fate, { maxLength: 12 }),
  steps: fc.array(step, { minLength: 1, maxLength: 12 }),
})
type Story = typeof story extends fc.Arbitrary<infer T> ? T : never

/** VMs as a user has them, who does not wait for one thing to end before the next. */
class User {
  readonly #fake: FakeSession
  readonly #spares: number
  readonly #open = new Set<Promise<unknown>>()
  readonly #vms: StartedKernelVm[] = []
  readonly #checkpoints: Checkpoint<StartedKernelVm>[] = []
  /** With the most that each ever was. */
  readonly #reservations: { readonly spares: SpareReservation; most: number }[] = []
  readonly unexpected: unknown[] = []
  /** Each has spares of its own. */
  #families = 0

  constructor(fake: FakeSession, spares: number) {
    this.#fake = fake
    this.#spares = spares
  }

  async take({ what, which, calledOffAfterMs }: Step): Promise<void> {
    const vm = this.#vms[which % this.#vms.length]
    const checkpoint = this.#checkpoints[which % this.#checkpoints.length]
    const box = [...this.#fake.host.boxes][which % this.#fake.host.boxes.size]
    if (what === 'launch') this.#getVm(calledOffAfterMs, (signal) => this.#launch(signal))
    else if (what === 'fork') this.#getVm(calledOffAfterMs, async (signal) => await vm?.fork({ signal }))
    else if (what === 'checkpoint') this.#begin(calledOffAfterMs, (signal) => this.#checkpoint(vm, signal))
    else if (what === 'fork checkpoint')
      this.#getVm(calledOffAfterMs, async (signal) => await checkpoint?.fork({ signal }))
    else if (what === 'remove') this.#begin(undefined, async () => await checkpoint?.remove())
    else if (what === 'stop') this.#begin(undefined, async () => await vm?.stop())
    else if (what === 'kill') box?.exit(137)
    else if (what === 'reserve') this.#reserve(vm, which % 3)
    else if (what === 'resize') this.#resize(which)
    else if (what === 'unreserve')
      this.#begin(
        undefined,
        async () => await this.#reservations[which % this.#reservations.length]?.spares[Symbol.asyncDispose](),
      )
    else await this.settle()
    // What was begun gets to run for a moment.
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Resolves when nothing is going on but the making of spares. @throws when something goes on for ever */
  async settle(): Promise<void> {
    const stillOpen = AbortSignal.timeout(OPEN_DEADLINE_MS)
    while (this.#open.size > 0) await orAborted(Promise.all(this.#open), stillOpen)
    // Each checkpoint has one that holds its volume.
    const spares = this.#families * this.#spares + this.#mostReserved
    const most = this.#vms.length + this.#checkpoints.length + spares
    expect(this.#fake.host.boxes.size).toBeLessThanOrEqual(most)
  }

  async endAll(): Promise<void> {
    await this.settle()
    for (const checkpoint of this.#checkpoints) this.#begin(undefined, () => checkpoint.remove())
    for (const { spares } of this.#reservations) this.#begin(undefined, async () => await spares[Symbol.asyncDispose]())
    for (const vm of this.#vms) this.#begin(undefined, () => vm.stop())
    await this.settle()
  }

  #reserve(vm: StartedKernelVm | undefined, count: number): void {
    if (vm === undefined) return
    this.#reservations.push({ spares: vm.reserveSpares(count), most: count })
  }

  get #mostReserved(): number {
    return this.#reservations.reduce((sum, { most }) => sum + most, 0)
  }

  #resize(which: number): void {
    const reservation = this.#reservations[which % this.#reservations.length]
    if (reservation === undefined) return
    reservation.spares.resize(which % 3)
    reservation.most = Math.max(reservation.most, which % 3)
  }

  async #launch(signal: AbortSignal): Promise<StartedKernelVm> {
    const vm = await this.#fake.launch({ signal, spares: this.#spares, bootTimeoutMs: BOOT_TIMEOUT_MS })
    this.#families++
    return vm
  }

  async #checkpoint(vm: StartedKernelVm | undefined, signal: AbortSignal): Promise<void> {
    const taken = await vm?.checkpoint({ signal })
    if (taken === undefined) return
    this.#families++
    this.#checkpoints.push(taken)
  }

  #getVm(
    calledOffAfterMs: number | undefined,
    get: (signal: AbortSignal) => Promise<StartedKernelVm | undefined>,
  ): void {
    this.#begin(calledOffAfterMs, async (signal) => {
      const vm = await get(signal)
      if (vm !== undefined) this.#vms.push(vm)
    })
  }

  #begin(calledOffAfterMs: number | undefined, work: (signal: AbortSignal) => Promise<unknown>): void {
    const calledOff = new AbortController()
    const timer =
      calledOffAfterMs === undefined ? undefined : setTimeout(() => calledOff.abort(new CalledOff()), calledOffAfterMs)
    const open = work(calledOff.signal)
      .catch((thrown) => {
        if (!(thrown instanceof TestkernelsError || thrown instanceof CalledOff)) this.unexpected.push(thrown)
      })
      .finally(() => {
        clearTimeout(timer)
        this.#open.delete(open)
      })
    this.#open.add(open)
  }
}

async function tell({ begins, spares, fates, steps: taken }: Story): Promise<void> {
  await using fake = await FakeSession.open()
  const user = new User(fake, spares)
  if (begins === 'with a VM') {
    await user.take({ what: 'launch', which: 0, calledOffAfterMs: undefined })
    await user.settle()
  }
  fake.image.fates.push(...fates)
  for (const one of taken) await user.take(one)
  await user.endAll()
  expect(user.unexpected).toEqual([])
  expect(await fake.leftovers()).toEqual({ boxes: 0, directories: [] })
}

/** Stories that once did not. */
const told: readonly Story[] = [
  // The VM was stopped in the moment in which its box died: nobody was there to hear SSH's goodbye.
  {
    begins: 'with a VM',
    spares: 0,
    fates: [],
    steps: (['launch', 'stop', 'launch', 'kill', 'launch'] as const).map((what) => ({
      what,
      which: 0,
      calledOffAfterMs: undefined,
    })),
  },
]

test('stories drawn at random end well', { timeout: RUNS_DEADLINE_MS }, async () => {
  await fc.assert(fc.asyncProperty(story, tell), { numRuns: RUNS, examples: told.map((one) => [one]) })
})

/** What somebody does who has less memory than there could be VMs, one thing after another. */
const shortOfMemory = fc.record({
  boxes: fc.integer({ min: 2, max: 5 }),
  steps: fc.array(fc.record({ what: fc.constantFrom('fork', 'stop', 'resize', 'rest'), which: fc.nat(4) }), {
    minLength: 1,
    maxLength: 15,
  }),
})

test('where memory is short spares give way: no fork waits for ever, and there are never more VMs than fit', {
  timeout: RUNS_DEADLINE_MS,
}, async () => {
  const run = async ({ boxes, steps: taken }: typeof shortOfMemory extends fc.Arbitrary<infer T> ? T : never) => {
    await using fake = await FakeSession.open({
      availableMib: () => (boxes - fake.host.boxes.size) * CLONE_NEEDS_MIB,
      program: (box) => {
        fake.image.play(box)
        most = Math.max(most, fake.host.boxes.size)
      },
    })
    let most = 0
    // Its template is made where there is no other VM, which is when nobody waits for memory.
    const first = await fake.launch()
    const vms = [first]
    const spares = first.reserveSpares(1)
    for (const { what, which } of taken) {
      const vm = vms[which % vms.length]
      if (what === 'fork' && vms.length < boxes)
        vms.push(await orAborted(first.fork(), AbortSignal.timeout(OPEN_DEADLINE_MS)))
      else if (what === 'stop') await vms.splice(which % vms.length, 1)[0]?.stop()
      else if (what === 'resize') spares.resize(which)
      else if (what === 'rest' && vm !== undefined) await vm.exec(['true'])
    }
    await Promise.all([spares[Symbol.asyncDispose](), ...vms.map((vm) => vm.stop())])
    expect(most).toBeLessThanOrEqual(boxes)
    expect(await fake.leftovers()).toEqual({ boxes: 0, directories: [] })
  }
  await fc.assert(fc.asyncProperty(shortOfMemory, run), { numRuns: RUNS })
})
