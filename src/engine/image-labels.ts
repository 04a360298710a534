import type { Engine } from './connect.ts'

/** The labels of all images of the engine's store that have this one, given as `NAME=VALUE`. */
export async function labelsOfImages(
  { docker }: Engine,
  label: string,
): Promise<readonly Readonly<Record<string, string>>[]> {
  const images = await docker.listImages({ filters: { label: [label] } })
  // The engine answers null for no label.
  return images.map(({ Labels }) => Labels ?? {})
}
