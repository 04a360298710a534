import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { startFakeEngine } from '../../../fixtures/engine/fake-engine.ts'
import { amd64 } from '../../arch/amd64.ts'
import { type Engine, engineClient } from '../../engine/index.ts'
import { silentLogger as log } from '../../log/index.ts'
import { readSettings } from '../../options/index.ts'
import { dockerHost } from './host.ts'

const signal = new AbortController().signal

test('whatever is asked of an engine that ends meanwhile fails with a code', async () => {
  await using hangsUp = await startFakeEngine(({ socket }) => socket.destroy())
  for (const address of [hangsUp.address, { kind: 'unix', path: '/nobody/listens.sock' } as const]) {
    const { docker } = engineClient(address)
    const engine = { docker, address, arch: amd64, locality: 'local', registries: {} } as unknown as Engine
    const { images, ...host } = dockerHost(engine, readSettings({}))
    const asked = {
      inspect: images.inspect('a'),
      labelsOfAll: images.labelsOfAll('a'),
      tag: images.tag('a', 'b'),
      remove: images.remove('a'),
      save: images.save(['a']),
      load: images.load(Readable.from(['a'])),
      import: images.import(Readable.from(['a']), { ref: 'a' }),
      removeVolume: host.removeVolume('a'),
      network: host.network(),
      prune: host.prune({ log }),
      run: host.run({ image: 'a', entry: 'v1' }, { signal, log }),
    }
    // Each is heard from the start: which fails first is nobody's affair.
    const codes = Object.entries(asked).map(async ([name, answer]) => [
      name,
      await answer.then(
        () => 'none',
        ({ code }) => code,
      ),
    ])
    const gone = Object.fromEntries(Object.keys(asked).map((name) => [name, 'ENGINE_GONE']))
    // These say what did not come about.
    const transfer = 'IMAGE_TRANSFER_FAILED'
    expect(Object.fromEntries(await Promise.all(codes))).toEqual({
      ...gone,
      save: transfer,
      load: transfer,
      import: transfer,
      run: 'CONTAINER_NOT_STARTED',
    })
  }
})
