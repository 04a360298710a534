# Ubuntu: the kernel of a release, or of a later one for it (HWE): PACKAGE=linux-image-virtual-hwe-24.04.
ARG IMAGE=ubuntu:24.04
FROM ${IMAGE}
ARG PACKAGE=linux-image-virtual
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${PACKAGE}
# What servers seldom need is in a package of its own, file systems among it.
RUN DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends linux-modules-extra-$(ls /lib/modules)
