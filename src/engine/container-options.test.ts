import { expect, test } from 'vitest'
import { createBody } from './container-options.ts'

const minimal = { image: 'a:b', labels: { l: '1' } }

test('a container has no capability that is not listed, and no way to gain one', () => {
  const { HostConfig } = createBody({ ...minimal, capabilities: ['NET_ADMIN'] })
  expect(HostConfig).toMatchObject({ CapDrop: ['ALL'], CapAdd: ['NET_ADMIN'], SecurityOpt: ['no-new-privileges'] })
  expect(HostConfig?.Privileged ?? false).toBe(false)
})

test('its stdin is ours alone and it is removed at its end', () => {
  expect(createBody(minimal)).toMatchObject({ OpenStdin: true, StdinOnce: true, HostConfig: { AutoRemove: true } })
})

test('its root is read-only unless asked otherwise', () => {
  expect(createBody(minimal).HostConfig?.ReadonlyRootfs).toBe(true)
  expect(createBody({ ...minimal, rootFilesystem: 'writable' }).HostConfig?.ReadonlyRootfs).toBe(false)
})

test('it has the kernel settings of its network that are asked for', () => {
  const sysctls = { 'net.ipv6.conf.all.forwarding': '1' }
  expect(createBody({ ...minimal, sysctls }).HostConfig?.Sysctls).toEqual(sysctls)
})

test('sizes in MiB become bytes, and memory includes swap', () => {
  const { HostConfig } = createBody({ ...minimal, memoryMib: 64 })
  expect(HostConfig).toMatchObject({ Memory: 67_108_864, MemorySwap: 67_108_864 })
})

test('mounts say what they are', () => {
  const { HostConfig } = createBody({
    ...minimal,
    mounts: [
      { kind: 'bind', source: '/a', target: '/b', access: 'read-only' },
      { kind: 'volume', volume: 'v', target: '/c', access: 'read-write' },
      { kind: 'tmpfs', target: '/run', sizeMib: 2, mode: 0o755 },
    ],
  })
  expect(HostConfig?.Mounts).toMatchObject([
    { Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true },
    { Type: 'volume', Source: 'v', Target: '/c', ReadOnly: false },
    { Type: 'tmpfs', Target: '/run', TmpfsOptions: { SizeBytes: 2_097_152, Mode: 0o755 } },
  ])
})
