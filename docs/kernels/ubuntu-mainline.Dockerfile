# A mainline kernel as Ubuntu builds it: URL is the directory of a version's packages for one architecture.
ARG IMAGE=ubuntu:24.04
FROM ${IMAGE}
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates wget
WORKDIR /packages
ARG URL
# Those without a debug kernel's or a low latency's; their checksums are listed beside them.
RUN wget -O checksums "${URL}/CHECKSUMS" && \
    grep -E '^[0-9a-f]{64}  linux-(image-unsigned|modules)-[^_]*-generic_' checksums >wanted && \
    for package in $(awk '{ print $2 }' wanted); do wget "${URL}/${package}" || exit; done && \
    sha256sum -c wanted && \
    for package in *.deb; do dpkg-deb -x "${package}" / || exit; done && \
    rm -r /packages
