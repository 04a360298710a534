import { request } from 'node:http'
import type { Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { CallCredentials, ChannelCredentials, type experimental } from '@grpc/grpc-js'
import type { TlsMaterial } from './endpoint.ts'
import { tlsOptions } from './transport.ts'

/** The engine answered `POST /grpc`, but not by switching protocols. */
export class UpgradeRefused extends Error {
  readonly statusCode: number

  constructor(statusCode: number) {
    super(`POST /grpc was answered ${statusCode} instead of 101`)
    this.statusCode = statusCode
  }
}

/**
 * Asks a Docker engine to speak HTTP/2 on a connected socket from here on.
 * @throws UpgradeRefused
 */
export function upgradeToH2c(socket: Socket): Promise<Socket> {
  return new Promise((resolve, reject) => {
    // No `agent` option: with `agent: false` Node ignores createConnection.
    const upgrade = request({
      method: 'POST',
      path: '/grpc',
      headers: { Host: 'localhost', Connection: 'Upgrade', Upgrade: 'h2c' },
      createConnection: () => socket,
    })
    upgrade.once('upgrade', (_response, upgraded, head) => {
      if (head.length > 0) upgraded.unshift(head)
      resolve(upgraded as Socket)
    })
    upgrade.once('response', (response) => {
      response.resume()
      socket.destroy()
      reject(new UpgradeRefused(response.statusCode ?? 0))
    })
    upgrade.on('error', reject)
    upgrade.end()
  })
}

export function secure(socket: Socket, host: string, tls: TlsMaterial): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const secured = connectTls({ ...tlsOptions(host, tls), socket }, () => resolve(secured))
    // Also hears of errors after the handshake, which are those of whoever uses the socket by then.
    secured.on('error', reject)
  })
}

/** Credentials that are no secret: grpc-js lets them turn the connected socket into the one HTTP/2 runs on. */
export class UpgradeCredentials extends ChannelCredentials {
  readonly #tls: { host: string; material: TlsMaterial } | undefined

  constructor(tls?: { host: string; material: TlsMaterial }) {
    super()
    this.#tls = tls
  }

  override _isSecure(): boolean {
    return false
  }

  override _equals(other: ChannelCredentials): boolean {
    return this === other
  }

  override _createSecureConnector(): experimental.SecureConnector {
    return {
      connect: async (socket) => {
        const carrier = this.#tls === undefined ? socket : await secure(socket, this.#tls.host, this.#tls.material)
        return { socket: await upgradeToH2c(carrier), secure: false }
      },
      waitForReady: () => Promise.resolve(),
      getCallCredentials: () => CallCredentials.createEmpty(),
      destroy: () => {},
    }
  }
}
