# Arch Linux; PACKAGE=linux-lts for its older kernel.
ARG IMAGE=archlinux:base
FROM ${IMAGE}
ARG PACKAGE=linux
# Unpacked and not installed, because its hooks would make an initramfs: a guest has one of ours.
RUN pacman --sync --refresh --downloadonly --noconfirm --cachedir /var/cache/kernel ${PACKAGE} && \
    tar -C / -xf /var/cache/kernel/${PACKAGE}-[0-9]*.pkg.tar.zst
