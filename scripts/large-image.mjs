// large-image.mjs NAME MIB: an image of one layer, as `docker load` takes it, to standard output. It is made while it is read: nobody holds it.
// The last line of standard error is what its layer has the digest of.
import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack } from 'tar-stream'

const MIB = 2 ** 20
/** What a tar has beside the content of its one file: a header, and two blocks of zeros. */
const FRAME_BYTES = 3 * 512

const [, , name, mib] = process.argv
const archive = pack()
const sent = pipeline(archive, process.stdout)
const diffId = await addLayer(Number(mib))
add('config.json', { architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: [diffId] } })
add('manifest.json', [{ Config: 'config.json', RepoTags: [name], Layers: ['layer.tar'] }])
archive.finalize()
await sent
console.error(diffId)

function add(file, content) {
  archive.entry({ name: file }, JSON.stringify(content))
}

/** @returns its digest */
async function addLayer(mib) {
  const hash = createHash('sha256')
  const layer = pack()
  const file = layer.entry({ name: 'large', size: mib * MIB })
  const filled = pipeline(Readable.from(pieces(mib)), file).then(() => layer.finalize())
  const entry = archive.entry({ name: 'layer.tar', size: mib * MIB + FRAME_BYTES })
  await pipeline(
    layer,
    async function* (source) {
      for await (const piece of source) {
        hash.update(piece)
        yield piece
      }
    },
    entry,
  )
  await filled
  return `sha256:${hash.digest('hex')}`
}

/** Each like no other, and random beyond what any compression looks back. */
function* pieces(count) {
  const piece = randomBytes(MIB)
  for (let at = 0; at < count; at++) {
    piece.writeUInt32BE(at)
    yield Buffer.from(piece)
  }
}
