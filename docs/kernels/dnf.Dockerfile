# AlmaLinux, Rocky Linux, CentOS Stream and Oracle Linux 8 to 10, Fedora, Amazon Linux 2023.
ARG IMAGE=almalinux:8
FROM ${IMAGE}
# Amazon's and Oracle's own kernels have other names: kernel, kernel-uek, "kernel-uek-core kernel-uek-modules".
ARG PACKAGES="kernel-core kernel-modules"
# Without their scripts, which would make an initramfs: a guest has one of ours.
RUN dnf install -y --setopt=install_weak_deps=False --setopt=tsflags=noscripts ${PACKAGES}
