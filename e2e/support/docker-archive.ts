import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'

/** A tar of these files. */
export async function archiveOf(files: Readonly<Record<string, string | Buffer>>): Promise<Buffer> {
  const archive = pack()
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content)
  archive.finalize()
  return await buffer(archive)
}

/** An image of one layer as `docker load` takes it. */
export async function dockerArchive(
  name: string,
  config: Readonly<Record<string, unknown>>,
  files: Readonly<Record<string, string>>,
): Promise<Buffer> {
  const layer = await archiveOf(files)
  const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`
  return await archiveOf({
    'layer.tar': layer,
    'config.json': JSON.stringify({ ...config, rootfs: { type: 'layers', diff_ids: [diffId] } }),
    'manifest.json': JSON.stringify([{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }]),
  })
}
