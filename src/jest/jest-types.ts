// The few parts of Jest's test environments and of jest-circus, its test runner, that are used here; the same in 29 and 30.
import type { TestFunction } from '../worker/index.ts'

export interface Environment {
  readonly global: typeof globalThis
  setup(): Promise<void>
  teardown(): Promise<void>
  handleTestEvent?(event: CircusEvent, state: CircusState): void | Promise<void>
}

export type EnvironmentClass = new (
  config: {
    readonly globalConfig: { readonly testTimeout?: number }
    /** Paths of modules. */
    readonly projectConfig?: { readonly testRunner?: string }
  },
  context: { readonly testPath: string },
) => Environment

/** A module of a test environment: CommonJS, or ES compiled to it, by default export or by name. */
export type EnvironmentModule =
  | EnvironmentClass
  | { readonly default?: EnvironmentClass; readonly TestEnvironment?: EnvironmentClass }

export interface CircusEvent {
  readonly name: string
  /** Of those that are about one. */
  readonly test?: CircusTest
}

export interface CircusState {
  readonly rootDescribeBlock: DescribeBlock
  /** Of the file, beside those of its tests. */
  readonly unhandledErrors: unknown[]
  /** In milliseconds, for tests and hooks that name none. */
  testTimeout: number
}

export interface DescribeBlock {
  readonly type: 'describeBlock'
  readonly name: string
  /** None of the outermost, which has a name that nobody gave. */
  readonly parent?: DescribeBlock
  readonly children: readonly (DescribeBlock | CircusTest)[]
  readonly hooks: readonly Hook[]
}

export interface CircusTest {
  readonly type: 'test'
  readonly name: string
  readonly parent: DescribeBlock
  /** Whether it runs beside others. */
  readonly concurrent?: boolean
  readonly errors: unknown[]
  /** Of its last try: in milliseconds since 1970, and in milliseconds. */
  readonly startedAt?: number | null
  readonly duration?: number | null
  fn?: TestFunction
}

export interface Hook {
  readonly type: 'beforeAll' | 'beforeEach' | 'afterEach' | 'afterAll'
  fn?: TestFunction
}
