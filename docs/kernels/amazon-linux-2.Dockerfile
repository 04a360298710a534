# Amazon Linux 2: its kernel 4.14, or one of its extras, such as EXTRA=kernel-5.10.
ARG IMAGE=amazonlinux:2
FROM ${IMAGE}
ARG EXTRA
RUN if [ -n "${EXTRA}" ]; then amazon-linux-extras enable "${EXTRA}"; fi
# Without its scripts, which would make an initramfs: a guest has one of ours.
RUN yum install -y --setopt=tsflags=noscripts kernel
