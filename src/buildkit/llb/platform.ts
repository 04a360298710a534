/** In the words of OCI images: `{ os: 'linux', architecture: 'arm64', variant: 'v8' }`. */
export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant?: string
}
