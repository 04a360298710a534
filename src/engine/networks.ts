import type { EngineClient } from './connect.ts'
import { requestJson, statusOf } from './request.ts'

/** What the engine gives a network that says nothing of it. */
const DEFAULT_MTU = 1500

/** What a network's driver makes its links with. */
const MTU_OPTION = 'com.docker.network.driver.mtu'

interface NetworkDocument {
  readonly Options?: Readonly<Record<string, string>> | null
}

/** The longest packet of the engine's default bridge, in bytes: dockerd's `mtu`, or 1500. */
export async function defaultBridgeMtu({ address }: EngineClient): Promise<number> {
  try {
    const { Options } = await requestJson<NetworkDocument>(address, { path: '/networks/bridge' })
    return Number(Options?.[MTU_OPTION]) || DEFAULT_MTU
  } catch (error) {
    if (statusOf(error) === 404) return DEFAULT_MTU
    throw error
  }
}
