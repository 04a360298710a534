import { expect, test } from 'vitest'
import { ociImageConfig } from './request.ts'

const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' }

test('what is not said is left to defaults, or left out', () => {
  expect(JSON.parse(JSON.stringify(ociImageConfig({ platform, entrypoint: ['/run'] })))).toEqual({
    architecture: 'arm64',
    variant: 'v8',
    os: 'linux',
    config: { Entrypoint: ['/run'], Env: [expect.stringMatching(/^PATH=/)], WorkingDir: '/' },
    rootfs: { type: 'layers', diff_ids: [] },
  })
})

test('ports have a protocol, and a PATH of the user goes before ours', () => {
  const config = ociImageConfig({ platform, env: { PATH: '/bin' }, exposedPorts: ['80', '53/udp'], volumes: ['/data'] })
  expect(config).toMatchObject({
    config: { Env: ['PATH=/bin'], ExposedPorts: { '80/tcp': {}, '53/udp': {} }, Volumes: { '/data': {} } },
  })
})
