/** What the probe found out about the engine's machine. */
export interface AcceleratorVerdict {
  readonly kvm: 'works' | 'fails'
  /** Why KVM is not used, as what follows "because"; for people. Empty when it works. */
  readonly reason: string
  /** Rate of the counter that an emulated clock runs by, in kHz. */
  readonly counterKhz: number
  /** What it holds for: every image on this machine, or the one that was probed with. */
  readonly about: VerdictScope
  /** The last lines of a guest that did not arrive. */
  readonly output?: string | undefined
}

export type VerdictScope = 'machine' | 'image'
