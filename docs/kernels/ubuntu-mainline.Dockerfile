# A mainline kernel as Ubuntu builds it: URL is the directory of a version's packages for one architecture.
ARG IMAGE=ubuntu:24.04
FROM ${IMAGE} AS packages
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates wget
WORKDIR /packages
ARG URL
# Those of the usual flavour, and what their checksums are to be.
RUN wget -O checksums "${URL}/CHECKSUMS" && \
    grep -E '^[0-9a-f]{64}  linux-(image-unsigned|modules)-[^_]*-generic_' checksums >wanted && \
    for package in $(awk '{ print $2 }' wanted); do wget "${URL}/${package}" || exit; done && \
    sha256sum -c wanted && \
    for package in *.deb; do dpkg-deb -x "${package}" /unpacked || exit; done

FROM scratch
COPY --from=packages /unpacked /
