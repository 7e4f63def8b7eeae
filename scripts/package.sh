#!/usr/bin/env bash
# Makes what is installed without a compiler: a Debian package, and the same tree as a tarball, both with ONNX Runtime.
#   scripts/package.sh        builds, and leaves both in target/package
# The program is linked against the OpenCV and FFmpeg of the system that builds it: build on Debian 12 for Debian 12.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '== %s\n' "$*"; }
fail() { printf 'package: %s\n' "$*" >&2; exit 1; }
[ "$(uname -s)" = Linux ] || fail "this script knows Linux only"
for tool in dpkg-deb dpkg-shlibdeps xz; do
  command -v "$tool" > /dev/null || fail "$tool is missing: apt-get install dpkg-dev xz-utils"
done

cargo_deb_version=3.8.0
tools=$PWD/target/package-tools
version=$(cargo metadata --no-deps --format-version 1 | python3 -c 'import json, sys; print(next(p["version"] for p in json.load(sys.stdin)["packages"] if p["name"] == "effigy"))')
out=target/package
tree=$out/tree

say "building effigy $version"
cargo build --release --locked --features pipewire,obs
binary=target/release/effigy

say "laying out the tree"
rm -rf "$tree"
mkdir -p "$tree"/share/{applications,icons/hicolor/scalable/apps,man/man1,bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d} \
  "$tree"/bin "$tree"/lib/effigy "$tree"/lib/systemd/user "$tree"/share/doc/effigy/onnxruntime
install -m 755 "$binary" "$tree/bin/"
# One of another version, of an earlier call, would be packed beside it.
mkdir -p "$out/runtime"
find "$out/runtime" -maxdepth 1 -name 'libonnxruntime.so.*' ! -name "libonnxruntime.so.$(scripts/onnxruntime.sh --version)" -delete
scripts/onnxruntime.sh "$out/runtime"
install -m 644 "$out"/runtime/libonnxruntime.so.* "$tree/lib/effigy/"
install -m 644 "$out"/runtime/onnxruntime/* "$tree/share/doc/effigy/onnxruntime/"
install -m 644 packaging/effigy.desktop "$tree/share/applications/"
install -m 644 packaging/effigy.svg "$tree/share/icons/hicolor/scalable/apps/"
install -m 644 packaging/effigy.service "$tree/lib/systemd/user/"
install -m 644 README.md CHANGELOG.md "$tree/share/doc/effigy/"
"$binary" man "$tree/share/man/man1"
"$binary" completions bash > "$tree/share/bash-completion/completions/effigy"
"$binary" completions zsh > "$tree/share/zsh/vendor-completions/_effigy"
"$binary" completions fish > "$tree/share/fish/vendor_completions.d/effigy.fish"
find "$tree" -type f ! -path '*/bin/*' -exec chmod 644 {} +

say "Debian package"
if [ ! -x "$tools/bin/cargo-deb" ]; then
  cargo install --quiet --locked --version "$cargo_deb_version" --root "$tools" cargo-deb
fi
"$tools/bin/cargo-deb" --no-build --no-strip --output "$out/"
deb=$(ls -t "$out"/effigy_"$version"-*.deb | head -n 1)

say "tarball"
install -m 644 packaging/copyright "$tree/share/doc/effigy/"
name=effigy-$version-linux-$(uname -m)
# What its libraries are called in Debian, which the package asks for by itself.
{
  echo "effigy $version. Unpack it anywhere and start bin/effigy; ONNX Runtime lies in lib/effigy."
  echo "It needs these libraries of the system, by the names of Debian 12:"
  echo
  dpkg-deb --field "$deb" Depends | tr ',' '\n' | sed 's/^ */  /'
  echo
  echo "For links into the places where a desktop looks: cp -r share/* ~/.local/share/"
} > "$tree/README"
tar --create --xz --file "$out/$name.tar.xz" --owner=0 --group=0 --sort=name --mtime="@${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}" \
  --transform "s,^\.,$name," --directory "$tree" .

say "made"
ls -l "$deb" "$out/$name.tar.xz" | awk '{ printf "%6.1f MB  %s\n", $5 / 1e6, $NF }'
