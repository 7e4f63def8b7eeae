#!/usr/bin/env bash
# Prepares what scripts/vm_test.sh boots: Debian's kernel, its `vivid` webcam and v4l2loopback built for it.
# Nothing is installed; all is kept in the cache folder, whose name is printed, so that a second run is quick.
set -euo pipefail

say() { printf '== %s\n' "$*" >&2; }
fail() { printf 'vm_kernel: %s\n' "$*" >&2; exit 1; }

cache="${XDG_CACHE_HOME:-$HOME/.cache}/effigy/vm"
modules=(virtio_pci 9pnet_virtio 9p overlay vivid v4l2loopback)
here=$(cd "$(dirname "$0")/.." && pwd)

release=$(apt-cache depends linux-image-amd64 2> /dev/null | sed -n 's/.*Depends: linux-image-//p' | head -n 1)
# Without apt's lists the kernel of the last time is as good.
[ -n "$release" ] || release=$(find "$cache" -mindepth 2 -maxdepth 2 -name modules.done -printf '%T@ %h\n' 2> /dev/null \
  | sort -n | sed -n '$s#.*/##p')
[ -n "$release" ] || fail "apt knows no linux-image-amd64; run \`apt-get update\` as root first"
place="$cache/$release"

if [ ! -e "$place/modules.done" ]; then
  for tool in dpkg-deb make gcc-12 depmod; do
    command -v "$tool" > /dev/null || PATH="$PATH:/sbin:/usr/sbin" command -v "$tool" > /dev/null \
      || fail "$tool is missing; scripts/setup.sh --tests installs what is needed"
  done
  rm -rf "$place"
  mkdir -p "$place/debs" "$place/root"
  say "fetching Debian's kernel $release (about 85 MB, once)"
  # The build tools' package is named after the kernel's series, or after the exact release in newer Debians.
  headers=$(apt-cache depends "linux-headers-$release" | sed -n 's/.*Depends: \(linux-\(headers\|kbuild\)-[^ ]*\)/\1/p')
  # shellcheck disable=SC2086
  (cd "$place/debs" && apt-get download -q "linux-image-$release" "linux-headers-$release" $headers v4l2loopback-dkms >&2) \
    || fail "the kernel's packages cannot be fetched; is the network there, and was \`apt-get update\` run lately?"
  for package in "$place"/debs/*.deb; do dpkg-deb -x "$package" "$place/root"; done
  rm -rf "$place/debs"
  say "building v4l2loopback for $release"
  tree="$place/root/usr/src/linux-headers-$release"
  # The headers refer to where they would be installed.
  sed -i "s#^include /usr/src/#include $place/root/usr/src/#" "$tree/Makefile"
  source=$(echo "$place/root/usr/src"/v4l2loopback-*)
  make -s -C "$tree" M="$source" modules > "$place/build.log" 2>&1 || { cat "$place/build.log" >&2; fail "v4l2loopback does not build"; }
  mkdir -p "$place/root/lib/modules/$release/extra"
  cp "$source/v4l2loopback.ko" "$place/root/lib/modules/$release/extra/"
  PATH="$PATH:/sbin:/usr/sbin" depmod -b "$place/root" "$release"
  touch "$place/modules.done"
fi

# The start-up archive is made each time: it is small, and its script is part of this repository.
boot=$(mktemp -d)
trap 'rm -rf "$boot"' EXIT
mkdir -p "$boot"/{bin,proc,sys,dev,modules,host,overlay,new}
cp /bin/busybox "$boot/bin/"
for name in sh mount insmod mkdir cat sleep poweroff chroot cut; do ln -s busybox "$boot/bin/$name"; done
: > "$boot/modules/order"
for module in "${modules[@]}"; do
  PATH="$PATH:/sbin:/usr/sbin" modprobe -d "$place/root" -S "$release" --show-depends "$module" | while read -r kind file _; do
    name=$(basename "$file")
    if [ "$kind" = insmod ] && [ ! -e "$boot/modules/$name" ]; then
      cp "$file" "$boot/modules/"
      echo "$name" >> "$boot/modules/order"
    fi
  done
done
cp "$here/tests/devices/vm_init.sh" "$boot/init"
chmod +x "$boot/init"
(cd "$boot" && find . | cpio -o -H newc --quiet | gzip -1) > "$place/initrd.part"
mv "$place/initrd.part" "$place/initrd.gz"
ln -sf "root/boot/vmlinuz-$release" "$place/vmlinuz"
echo "$place"
