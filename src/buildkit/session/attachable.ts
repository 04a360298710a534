import type { SessionServices } from './services.ts'

/** Something this machine offers to a solve: files, secrets, credentials, a directory for results. */
export interface Attachable {
  /**
   * Goes into the key under which the engine keeps what a session sent, so that the next one sends only changes. Two
   * sources that differ must give two keys.
   */
  sharedKey?(): Promise<string>
  register(services: SessionServices): void
}
