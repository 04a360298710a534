import type { ProvidedKernel, Scope } from './provided.ts'

/**
 * The VMs that a test cannot do without: its project's own; in a suite those whose entry is named in the test's full name, as in
 * `describe.each(kernels())('on $name', ...)`.
 */
export function neededBy<K extends Pick<ProvidedKernel, 'name'>>(
  fullName: string,
  { scope, kernels }: { readonly scope: Scope; readonly kernels: readonly K[] },
): readonly K[] {
  return scope === 'project' ? kernels : kernels.filter(({ name }) => isWordOf(name, fullName))
}

/** `v1` is not in `v1-cgroupv2`: what may stand in a name belongs to it. */
function isWordOf(name: string, text: string): boolean {
  return new RegExp(`(?<![\\w.-])${escaped(name)}(?![\\w-]|\\.\\w)`).test(text)
}

function escaped(name: string): string {
  return name.replace(/[.-]/g, '\\$&')
}
