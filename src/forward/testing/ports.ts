import { once } from 'node:events'
import { createServer } from 'node:net'
import { onTestFinished } from 'vitest'

/** A port at which somebody else listens until the test is over. */
export async function takenPort(address: string): Promise<number> {
  const taken = createServer().listen(0, address)
  await once(taken, 'listening')
  onTestFinished(() => void taken.close())
  return (taken.address() as { port: number }).port
}

export async function freePort(address: string): Promise<number> {
  const probe = createServer().listen(0, address)
  await once(probe, 'listening')
  const { port } = probe.address() as { port: number }
  probe.close()
  await once(probe, 'close')
  return port
}
