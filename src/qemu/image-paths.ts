/** Where things are in the image that a VM runs from. */
export const imagePaths = {
  entrypoint: '/testkernels/entrypoint',
  probe: '/testkernels/probe',
  /** A link: a machine's architecture has its own program. */
  qemu: '/testkernels/qemu-system',
  vmlinuz: '/testkernels/vmlinuz',
  initrd: '/testkernels/initrd',
  rootfs: '/testkernels/rootfs.erofs',
  kernelFiles: '/testkernels/kernel.erofs',
  /** Made by `supervise` at the start. */
  scratch: '/var/lib/testkernels/scratch.img',
  /** Carries its standard input and output to and from a unix socket. */
  dial: '/testkernels/dial',
  /** Made by `supervise` at the start, where images are to be loaded into the guest. */
  preload: '/var/lib/testkernels/preload.img',
  /** Checks, lists and removes templates. */
  template: '/testkernels/template',
  /** A volume with templates is mounted here. */
  templates: '/var/lib/testkernels/templates',
  /** The VM's run directory of the host is mounted here; QEMU's sockets are in it. */
  runDirectory: '/run/testkernels',
} as const
