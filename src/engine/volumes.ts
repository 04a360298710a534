import type { EngineClient } from './connect.ts'
import { statusOf } from './request-error.ts'

/** Removes a volume and what is in it. One that a container uses stays. */
export async function removeVolume(engine: EngineClient, name: string): Promise<'removed' | 'absent' | 'in use'> {
  try {
    await engine.docker.getVolume(name).remove()
    return 'removed'
  } catch (error) {
    if (statusOf(error) === 404) return 'absent'
    if (statusOf(error) === 409) return 'in use'
    throw error
  }
}
