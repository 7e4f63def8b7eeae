#!/usr/bin/env bash
# Installs the packages of `scripts/package.sh` in a clean Debian 12 without a compiler, runs what they hold, removes them.
#   scripts/package_test.sh [ROOT]     as root; ROOT is a fresh debootstrap, made when it is not given
# What it prints is the install transcript.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'package_test: %s\n' "$*" >&2; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "a root of its own needs root rights"
version=$(target/release/effigy --version | cut -d' ' -f2)
deb=$(ls -t target/package/effigy_"$version"-*.deb 2> /dev/null | head -n 1) || true
archive=target/package/effigy-$version-linux-$(uname -m).tar.xz
[ -n "$deb" ] && [ -e "$archive" ] || fail "no packages of version $version; run scripts/package.sh first"

root=${1:-}
if [ -z "$root" ]; then
  command -v debootstrap > /dev/null || fail "debootstrap is missing: apt-get install debootstrap"
  root=$(mktemp -d)
  # The user of its own must be let in.
  chmod 755 "$root"
  mirror=$(sed -n 's/^URIs: *//p; s/^deb \([^ ]*\) .*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2> /dev/null | head -n 1) || true
  debootstrap --variant=minbase bookworm "$root" "$mirror" > target/package/debootstrap.log || fail "see target/package/debootstrap.log"
fi
clean_up() {
  for place in proc dev; do
    umount -l "$root/$place" 2> /dev/null || true
    # What is still bound there is this machine's own.
    ! mountpoint -q "$root/$place" || fail "$root/$place is still mounted; unmount it before you remove $root"
  done
  [ -n "${1:-}" ] || rm -rf --one-file-system "$root"
}
trap 'clean_up "${1:-}"' EXIT
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
cp /etc/resolv.conf "$root/etc/" 2> /dev/null || true
# How this machine reaches its mirror, if not as everybody does.
cp /etc/apt/apt.conf.d/*proxy* "$root/etc/apt/apt.conf.d/" 2> /dev/null || true

# Prints a command, then runs it in the root, with its output.
in_root() {
  printf '# %s\n' "$*"
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$root" bash -c "$*"
}
quietly() {
  printf '# %s\n' "$*"
  in_root "$@" > target/package/step.log 2>&1 || { cat target/package/step.log; fail "this failed: $*"; }
}

printf 'Debian %s, %s packages before\n' "$(cat "$root/etc/debian_version")" "$(in_root 'dpkg-query -W | wc -l' | tail -n 1)"
for tool in cc c++ clang cargo rustc ld pkg-config; do
  ! chroot "$root" bash -c "command -v $tool" > /dev/null || fail "there is a $tool: this root is not clean"
done
in_root 'find / -xdev -type f -o -xdev -type l | sort > /before'
cp "$deb" "$root/srv/effigy.deb"
quietly apt-get update
began=$SECONDS
quietly apt-get install -y --no-install-recommends /srv/effigy.deb
printf '%s packages after, %s s\n' "$(in_root 'dpkg-query -W | wc -l' | tail -n 1)" "$((SECONDS - began))"
in_root 'dpkg-query -W -f "\${Package} \${Version}, \${Installed-Size} KiB installed\n" effigy'
in_root 'for path in $(dpkg -L effigy | grep -v /man1/); do [ -d $path ] || ls -l $path; done | awk "{ print \$5, \$NF }"'
in_root 'ldd /usr/bin/effigy | grep "not found" | wc -l'
in_root 'for tool in cc c++ clang cargo rustc ld; do command -v $tool; done; echo no compiler is there'

in_root effigy --version
in_root 'HOME=/srv effigy doctor || echo "doctor says $?"'
in_root 'cd /srv && time effigy demo --out demo'
in_root 'ls -l /srv/demo'
[ "$(stat -c %s "$root/srv/demo/demo.mp4")" -gt 100000 ] || fail "the demo left no video"
# Somebody without rights, in a home of their own: enrol, keep, run to a file.
cp models/demo/portrait_a.png models/demo/driver.mp4 "$root/srv/"
in_root 'useradd --create-home ann'
as_ann() { in_root "su - ann -c '$*'"; }
as_ann 'effigy enroll /srv/portrait_a.png -o ada.effigy --consent synthetic'
as_ann 'effigy identities add ada.effigy && effigy identities list'
as_ann 'effigy run --identity ada --source /srv/driver.mp4 --sink file:out.mp4 --every-frame 2>&1 | tail -n 4'
[ "$(stat -c %s "$root/home/ann/out.mp4")" -gt 100000 ] || fail "the run left no video"

in_root 'zcat /usr/share/man/man1/effigy.1.gz | head -n 5; ls /usr/share/man/man1/effigy* | wc -l'
in_root 'bash -c "source /usr/share/bash-completion/completions/effigy && complete -p effigy"'
in_root 'apt-get install -y --no-install-recommends desktop-file-utils systemd > /dev/null 2>&1; desktop-file-validate /usr/share/applications/effigy.desktop && echo the desktop file is right'
in_root 'XDG_RUNTIME_DIR=/run systemd-analyze --user --man=no verify /usr/lib/systemd/user/effigy.service && echo the unit is right'

quietly apt-get remove -y --purge effigy
in_root 'find / -xdev -path /proc -prune -o -name "*effigy*" -print | grep -vE "^/(home|srv|var/lib/apt|var/log|var/cache)|^/before" | wc -l'

mkdir -p "$root/opt"
tar --extract --xz --file "$archive" --directory "$root/opt"
in_root "ls /opt/effigy-*"
in_root '/opt/effigy-*/bin/effigy doctor | head -n 1'
in_root 'cd /srv && /opt/effigy-*/bin/effigy demo --out demo-of-archive 2>&1 | tail -n 3'
[ "$(stat -c %s "$root/srv/demo-of-archive/demo.mp4")" -gt 100000 ] || fail "the archive's demo left no video"
ls -l "$deb" "$archive" | awk '{ printf "%s bytes  %s\n", $5, $NF }'
echo "packages: installed, run and removed in a clean root"
