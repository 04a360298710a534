export interface Credentials {
  readonly username: string
  /** A password, or with an empty user name an identity token. */
  readonly secret: string
}

export const anonymous: Credentials = { username: '', secret: '' }

/** The name that Docker Hub has in docker's configuration, whatever its hosts are called. */
const HUB = 'https://index.docker.io/v1/'
const hubHosts = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** What `docker login` keeps the credentials for `host` under. */
export function registryKey(host: string): string {
  return hubHosts.has(host) ? HUB : host
}
