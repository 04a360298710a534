import type { Engine } from '../../src/engine/index.ts'

/** What the engine has of a run, such as `container 5f…`. */
export async function thingsOf({ docker }: Engine, run: string): Promise<readonly string[]> {
  const filters = { label: [`testkernels.run=${run}`] }
  const containers = await docker.listContainers({ all: true, filters })
  const { Volumes: volumes } = await docker.listVolumes({ filters })
  return [...containers.map(({ Id }) => `container ${Id}`), ...(volumes ?? []).map(({ Name }) => `volume ${Name}`)]
}
