import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { compareVersions, isTime, newestOf, Snapshots } from './debian-versions.ts'

test('versions are ordered as dpkg orders them', () => {
  const ordered = [
    '5.10.262-1',
    '6.1.9-1',
    '6.1.176-1~deb11u1',
    '6.1.176-1',
    '6.1.187-1',
    '6.1.187-1+b1',
    '6.1.187-2',
    '6.1.187-10',
    '6.12.43-1~bpo12+1',
    '6.12.43-1',
    '7.3~rc7-1~exp1',
    '7.3-1',
    '7.3+dfsg-1',
    '7.3.4-1~bpo13+1',
  ]
  expect(ordered.toReversed().toSorted(compareVersions)).toEqual(ordered)
  expect(compareVersions('6.1.187-1', '6.1.187-1')).toBe(0)
})

const kernels = ['6.1.18-1', '6.1.170-3', '6.1.187-1', '6.1.187-2', '6.12.43-1~bpo12+1'].map((version) => ({ version }))

test.each([
  ['6.1.187-1', '6.1.187-1'],
  ['6.1.187', '6.1.187-2'],
  ['6.1', '6.1.187-2'],
  ['6', '6.12.43-1~bpo12+1'],
  ['6.12.43-1', '6.12.43-1~bpo12+1'],
  // Parts of a number are no parts of a version.
  ['6.1.18', '6.1.18-1'],
  ['6.1.1', undefined],
  ['6.1.187-', undefined],
  ['6.2', undefined],
])('%s is the newest of what begins so: %s', (version, found) => {
  expect(newestOf(version, kernels)?.version).toBe(found)
})

test('a time is no version', () => {
  expect(['20260301T000000Z', '6.1', '20260301'].map(isTime)).toEqual([true, false, false])
})

// Laid out like Debian's own.
let server: Server
let requests: string[]
let answers: Record<string, unknown>

beforeEach(async () => {
  requests = []
  answers = {
    '/mr/package/linux-signed-amd64/': {
      package: 'linux-signed-amd64',
      result: ['6.12.43+1~bpo12+1', '6.1.99+1', '6.1.90+1', '6.1.106+3'].map((version) => ({ version })),
    },
    '/mr/package/linux-signed-amd64/6.1.99%2B1/binpackages': {
      result: [
        'linux-image-6.1.0-23-amd64',
        'linux-image-6.1.0-23-rt-amd64',
        'linux-image-6.1.0-23-cloud-amd64',
        'linux-image-6.1.0-23-cloud-amd64-dbg',
        'linux-image-cloud-amd64',
      ].map((name) => ({ name, version: '6.1.99-1' })),
    },
    '/mr/binary/linux-image-6.1.0-23-cloud-amd64/6.1.99-1/binfiles?fileinfo=1': {
      result: [
        { architecture: 'arm64', hash: 'bbb' },
        { architecture: 'amd64', hash: 'aaa' },
      ],
      fileinfo: {
        aaa: [
          { archive_name: 'debian-ports', first_seen: '20240701T000000Z', path: '/pool/x', size: 1 },
          { archive_name: 'debian-security', first_seen: '20240716T120000Z', path: '/pool/y', size: 1 },
        ],
        bbb: [{ archive_name: 'debian', first_seen: '20240702T000000Z' }],
      },
    },
    '/mr/binary/linux-image-6.1.0-23-amd64/6.1.99-1/binfiles?fileinfo=1': {
      result: [{ architecture: 'amd64', hash: 'ccc' }],
      fileinfo: { ccc: [{ archive_name: 'debian', first_seen: '20240720T000000Z' }] },
    },
  }
  server = createServer((request, response) => {
    requests.push(request.url ?? '')
    const answer = answers[request.url ?? '']
    if (answer === undefined) response.writeHead(404).end('not found')
    else response.end(JSON.stringify(answer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})

afterEach(() => void server.close())

function snapshots(signal = new AbortController().signal) {
  return new Snapshots(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, { arch: 'amd64', signal })
}

test('the archive of snapshots tells where and when a version was first', async () => {
  const sighting = { version: '6.1.99-1', archive: 'security', time: '20240716T120000Z' }
  expect(await snapshots().find('6.1.99-1', 'cloud-amd64')).toEqual(sighting)
  expect(await snapshots().find('6.1.99', 'cloud-amd64')).toEqual(sighting)
})

test('another flavour is another package', async () => {
  const sighting = { version: '6.1.99-1', archive: 'main', time: '20240720T000000Z' }
  expect(await snapshots().find('6.1.99-1', 'amd64')).toEqual(sighting)
  expect(await snapshots().find('6.1.99-1', 'rt-arm64')).toBeUndefined()
})

test('what it never had is asked for no further', async () => {
  expect(await snapshots().find('6.1.1', 'cloud-amd64')).toBeUndefined()
  expect(requests).toEqual(['/mr/package/linux-signed-amd64/'])
})

test('an archive that has no such package has none of its versions', async () => {
  answers = {}
  expect(await snapshots().find('6.1.99-1', 'cloud-amd64')).toBeUndefined()
})

test('an answer that is none of its, and a server that is not there, say so with what to do', async () => {
  answers['/mr/package/linux-signed-amd64/'] = { versions: [] }
  await expect(snapshots().find('6.1', 'cloud-amd64')).rejects.toMatchObject({
    code: 'KERNEL_SOURCE_UNAVAILABLE',
    message: expect.stringMatching(/cannot ask Debian's archive of snapshots: http:.*linux-signed-amd64\/\n/),
  })
  const asking = snapshots()
  server.close()
  await expect(asking.find('6.1', 'cloud-amd64')).rejects.toThrow(/ECONNREFUSED[\s\S]*TESTKERNELS_DEBIAN_SNAPSHOTS/)
})

test('its archives are those of a time', () => {
  const { main, security } = snapshots().archivesAt('20240716T120000Z')
  expect([main, security].map((url) => url.replace(/^http:..[^/]+/, ''))).toEqual([
    '/archive/debian/20240716T120000Z',
    '/archive/debian-security/20240716T120000Z',
  ])
})
