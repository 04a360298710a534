import type { Engine } from './connect.ts'
import { requestJson } from './request.ts'

/** The labels of all images of the engine's store that have this one, given as `NAME=VALUE`. */
export async function labelsOfImages(
  { address }: Engine,
  label: string,
): Promise<readonly Readonly<Record<string, string>>[]> {
  const query = { filters: JSON.stringify({ label: [label] }) }
  const images = await requestJson<readonly ListedImage[]>(address, { path: '/images/json', query })
  // The engine answers null for no label.
  return images.map(({ Labels }) => Labels ?? {})
}

interface ListedImage {
  readonly Labels: Readonly<Record<string, string>> | null
}
