/** Of the engine under test. */
export const platform = { os: 'linux', architecture: 'amd64' } as const
