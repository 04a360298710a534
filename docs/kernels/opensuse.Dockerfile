# openSUSE Leap and Tumbleweed (IMAGE=opensuse/tumbleweed).
ARG IMAGE=opensuse/leap:15.6
FROM ${IMAGE}
ARG PACKAGE=kernel-default
# Without its scripts and what they need, because they would make an initramfs: a guest has one of ours.
RUN zypper --non-interactive install --download-only --no-recommends ${PACKAGE} && \
    rpm --install --nodeps --noscripts $(find /var/cache/zypp/packages -name "${PACKAGE}-[0-9]*.rpm")
