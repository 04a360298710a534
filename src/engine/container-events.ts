import type { EngineClient } from './connect.ts'
import { containerEvents, inspectContainer, readContainerEvents } from './containers.ts'

/** How a container ended. */
export interface ContainerExit {
  /** `undefined` when the engine went away without telling. */
  readonly exitCode: number | undefined
  /** Whether the kernel killed a process of the container for want of memory. */
  readonly oomKilled: boolean
}

/** What becomes of one container. Neither promise ever rejects. */
export interface ContainerFate {
  readonly exited: Promise<ContainerExit>
  /** The engine has removed the container, or has gone away itself. */
  readonly removed: Promise<void>
  /** Stops watching; both promises resolve. */
  unfollow(): void
}

/**
 * Follows a container through the engine's events, from its creation on. Inspecting it after its end would be too late,
 * because the engine removes it at once; only the events tell of a kill for want of memory.
 */
export async function followContainer(engine: EngineClient, id: string): Promise<ContainerFate> {
  let events = await subscribe()
  let following = true
  let oomKilled = false
  let exit: (exit: ContainerExit) => void = () => {}
  let remove: () => void = () => {}
  const exited = new Promise<ContainerExit>((resolve) => (exit = resolve))
  const removed = new Promise<void>((resolve) => (remove = resolve))

  watch()
    // The engine went away, or we stopped: nothing more will be heard of this container.
    .catch(() => {})
    .finally(() => {
      exit({ exitCode: undefined, oomKilled })
      remove()
    })
  return {
    exited,
    removed,
    unfollow: () => {
      following = false
      events.destroy()
    },
  }

  function subscribe() {
    return containerEvents(engine, { container: id, events: ['oom', 'die', 'destroy'] })
  }

  async function watch(): Promise<void> {
    while (true) {
      for await (const { Action: action, Actor: actor } of readContainerEvents(events)) {
        if (action === 'oom') oomKilled = true
        if (action === 'die') exit({ exitCode: Number(actor.Attributes['exitCode']), oomKilled })
        if (action === 'destroy') return
      }
      // The stream ended before the container did. If the container is still there, so is the engine.
      if ((await inspectContainer(engine, id)) === undefined) return
      events = await subscribe()
      if (!following) events.destroy()
    }
  }
}
