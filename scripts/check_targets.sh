#!/usr/bin/env bash
# Type-checks and lints the program for Windows and macOS on Linux, each with the features that the forge's jobs build
# (.github/workflows/ci.yml). Nothing is linked and nothing runs: for C of dependencies stands a compiler that leaves empty
# files, and headers of libraries are Debian's. Needs the headers of Windows: apt install mingw-w64-x86-64-dev
#   scripts/check_targets.sh [TARGET]...      x86_64-pc-windows-gnu aarch64-apple-darwin
set -euo pipefail
cd "$(dirname "$0")/.."
workflow=.github/workflows/ci.yml
stand_ins=$(mktemp -d)
trap 'rm -rf "$stand_ins"' EXIT
cat > "$stand_ins/cc" << 'CC'
#!/usr/bin/env bash
# What kind of compiler it is, crates find out by its preprocessor.
for argument; do
  case $argument in -E | --version | -dumpversion) exec cc "$@" ;; esac
done
while [ $# -gt 0 ]; do
  case $1 in -o) : > "$2"; shift ;; -Fo* | /Fo*) : > "${1#?Fo}" ;; esac
  shift
done
CC
cat > "$stand_ins/ar" << 'AR'
#!/usr/bin/env bash
for argument; do
  case $argument in *.a) : > "$argument" ;; -out:* | /OUT:*) : > "${argument#*:}" ;; esac
done
AR
chmod +x "$stand_ins"/*
export PKG_CONFIG_ALLOW_CROSS=1
# Debian keeps some of OpenCV's headers by architecture; elsewhere all lie in one folder.
mkdir -p "$stand_ins/opencv"
cp -r /usr/include/opencv4/opencv2 "/usr/include/$(gcc -dumpmachine)/opencv4/opencv2" "$stand_ins/opencv/"
# FFmpeg's headers without those of Linux's C library, which lie beside them.
mkdir -p "$stand_ins/ffmpeg/include" "$stand_ins/ffmpeg/lib"
ln -s "/usr/include/$(gcc -dumpmachine)"/lib{av,sw}* "$stand_ins/ffmpeg/include/"
export FFMPEG_DIR="$stand_ins/ffmpeg"
export OPENCV_INCLUDE_PATHS="$stand_ins/opencv" OPENCV_LINK_PATHS=/usr/lib OPENCV_LINK_LIBS=opencv_core

[ $# -gt 0 ] || set -- x86_64-pc-windows-gnu aarch64-apple-darwin
for target; do
  case $target in
    # Without what the binding generator cannot say: a type that is packed and aligned.
    *windows*) job=windows clang="-D__AMXINTRIN_H --target=x86_64-w64-windows-gnu -isystem /usr/x86_64-w64-mingw32/include" ;;
    # As wide as Linux in every type.
    *apple*) job=macos clang=--target=x86_64-unknown-linux-gnu ;;
    *)
      echo "check_targets: $target is neither of Windows nor of macOS" >&2
      exit 2
      ;;
  esac
  features=$(sed -n "/^  $job:/,\$s/^ *FEATURES: *//p" "$workflow" | head -n 1)
  rustup target add "$target"
  name=${target//-/_}
  export "CC_$name=$stand_ins/cc" "CXX_$name=$stand_ins/cc" "AR_$name=$stand_ins/ar" "RANLIB_$name=true" "BINDGEN_EXTRA_CLANG_ARGS_$name=$clang"
  printf '== %s: %s\n' "$target" "$features"
  cargo clippy --locked --target "$target" --no-default-features --features "$features" --lib --bins -- -D warnings
done
