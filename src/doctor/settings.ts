import { BlockList, isIP } from 'node:net'
import { EngineAddressInvalidError, resolveEngineAddress } from '../host/index.ts'
import { testcontainersHostWarning } from '../matrix/index.ts'
import type { Check, CheckResult, Finding } from './check.ts'

const GROUP = 'Settings'
const DEADLINE_MS = 10_000

/** Where containers of an engine that nobody configured have their addresses, those of VMs included. */
const BRIDGE_ADDRESS = '172.17.0.2'
/** What a test's environment has from us, whatever the user says. */
const REPLACED = [
  'TESTCONTAINERS_HOST_OVERRIDE',
  'TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE',
  'TESTCONTAINERS_RYUK_DISABLED',
]

type Environment = Readonly<Record<string, string | undefined>>

export const engineChoice: Check = {
  id: 'engine-choice',
  title: 'Choice of engine',
  group: GROUP,
  deadlineMs: DEADLINE_MS,
  needs: 'nothing',
  examine: async ({ settings }) => {
    const chosen = await resolveEngineAddress(settings.environment).catch((thrown) => {
      if (thrown instanceof EngineAddressInvalidError) return undefined
      throw thrown
    })
    if (chosen === undefined) return { status: 'ok', message: 'not known while its address is invalid: see below' }
    const { source, passedOver } = chosen
    if (passedOver === undefined) {
      const message = source === 'default' ? 'by default: neither DOCKER_HOST nor a context is set' : `by ${source}`
      return { status: 'ok', message }
    }
    return {
      status: 'warning',
      message: `${source} goes before ${passedOver}, which is not heeded`,
      remedy: `unset ${source} to use ${passedOver}, or choose the context default`,
    }
  },
}

export const testcontainers: Check = {
  id: 'testcontainers',
  title: 'Testcontainers',
  group: GROUP,
  deadlineMs: DEADLINE_MS,
  needs: 'nothing',
  examine: async ({ settings }) => {
    const warning = testcontainersHostWarning(settings.homeDirectory)
    if (warning !== undefined) {
      const [message = warning, remedy = ''] = warning.split('\n  remedy: ')
      return { status: 'failure', message, remedy }
    }
    const set = REPLACED.filter((name) => settings.environment[name])
    if (set.length === 0) return { status: 'ok', message: 'nothing goes before the DOCKER_HOST of a VM' }
    return {
      status: 'warning',
      message: `${set.join(', ')} ${set.length === 1 ? 'is' : 'are'} set, and replaced where tests run: a VM has its own`,
      remedy: `unset ${set.join(', ')}, unless other tests than those on VMs need it`,
    }
  },
}

export const proxies: Check = {
  id: 'proxies',
  title: 'Proxies',
  group: GROUP,
  deadlineMs: DEADLINE_MS,
  needs: 'nothing',
  examine: async ({ settings }) => proxyFinding(settings.environment),
}

export function proxyFinding(environment: Environment): Finding {
  const of = (name: string) => environment[name] || environment[name.toLowerCase()]
  const set = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].filter(of)
  if (set.length === 0) return { status: 'ok', message: 'none is set' }
  const own = 'the engine pulls and builds with its own settings'
  const names = set.join(', ')
  if (isCovered(of('NO_PROXY') ?? '', BRIDGE_ADDRESS))
    return { status: 'ok', message: `${names}, and not for addresses of VMs (NO_PROXY); ${own}` }
  return {
    status: 'warning',
    message: `${names}: HTTP clients of tests that heed it ask the proxy for what containers in a VM publish; ${own}`,
    remedy: `add the engine's network to NO_PROXY, such as NO_PROXY=localhost,127.0.0.1,172.17.0.0/16`,
  }
}

/** Whether an entry of NO_PROXY is for the address: `*`, an address, a network, or the beginning of an address, as some clients take it. */
function isCovered(noProxy: string, address: string): boolean {
  return noProxy
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*' || entry === address) return true
      const [network = '', bits] = entry.split('/')
      if (isIP(network) !== 4 || bits === undefined)
        return /^\d+\.(?:\d+\.?)*$/.test(entry) && address.startsWith(entry)
      const list = new BlockList()
      list.addSubnet(network, Math.min(32, Number(bits) || 0))
      return list.check(address)
    })
}

/** For settings that cannot be: nothing else can be looked at then. */
export function settingsFailure(thrown: { readonly what: string; readonly remedy: string }): CheckResult {
  const { what, remedy } = thrown
  return {
    id: 'settings',
    title: 'Settings',
    group: 'Settings',
    looked: 'looked at',
    status: 'failure',
    message: what,
    remedy,
  }
}
