#!/usr/bin/env bash
# Runs the program on Linux's own webcam and loopback drivers in a virtual machine: no hardware, no module on this
# machine. The machine sees this one's files read-only; results come back in a scratch folder.
# The first run fetches Debian's kernel (about 85 MB); later ones take about a minute.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '== %s\n' "$*"; }
fail() { printf 'vm_test: %s\n' "$*" >&2; exit 1; }

if [ "$(uname -sm)" != "Linux x86_64" ]; then
  say "devices in a virtual machine: SKIPPED, this is $(uname -sm) and the machine is Linux x86_64"
  exit 0
fi
if ! grep -qx 'ID=debian' /etc/os-release 2> /dev/null; then
  say "devices in a virtual machine: SKIPPED, the machine boots Debian's kernel, and this system's packages are others"
  exit 0
fi
for tool in qemu-system-x86_64 busybox cpio v4l2-ctl; do
  command -v "$tool" > /dev/null || fail "$tool is missing; scripts/setup.sh --tests installs what is needed"
done

test_program=${EFFIGY_DEVICES_TEST:-$(scripts/test_program.sh devices)}
program=$(dirname "$(dirname "$test_program")")/effigy
[ -x "$program" ] || fail "$program is not there"

place=$(scripts/vm_kernel.sh)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# The signing key of these tests is not the user's.
XDG_CONFIG_HOME="$out/config" "$program" enroll models/demo/portrait_a.png -o "$out/me.effigy" --consent synthetic
runtime=${EFFIGY_ONNXRUNTIME:-${ORT_DYLIB_PATH:-}}
cat > "$out/job.sh" <<JOB
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME='$HOME' TMPDIR=/tmp EFFIGY_VM=1
# A software driver of graphics cards takes long to load here and is not what is tested.
export VK_ICD_FILENAMES=/none VK_DRIVER_FILES=/none
${runtime:+export EFFIGY_ONNXRUNTIME='$runtime'}
cd '$PWD'
'$test_program' vm:: --ignored --nocapture --test-threads=1
JOB

say "starting the machine"
begin=$(date +%s)
# Emulated, so that it runs where no hypervisor is; the time limit is for what hangs. The processor's own counter
# runs at another speed than the clock when this machine is busy.
timeout -k 10 600 qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 \
  -nographic -no-reboot -nodefaults -serial stdio -net none \
  -kernel "$place/vmlinuz" -initrd "$place/initrd.gz" \
  -append "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off nokaslr clocksource=hpet" \
  -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
  -device virtio-9p-pci,fsdev=host,mount_tag=hostroot \
  -fsdev local,id=out,path="$out",security_model=none -device virtio-9p-pci,fsdev=out,mount_tag=out \
  < /dev/null > "$out/console.log" 2>&1 || true
[ ! -e "$out/job.log" ] || cat "$out/job.log"
code=$(cat "$out/code" 2> /dev/null || echo none)
if [ "$code" != 0 ]; then
  tail -n 40 "$out/console.log"
  [ ! -e "$out/unexpected.raw" ] || { cp "$out/unexpected.raw" target/; say "the unexpected frame is target/unexpected.raw"; }
  fail "the job in the machine ended with $code"
fi
# A test that was not run must not look like one that passed.
grep -q "^test result: ok. 4 passed" "$out/job.log" || fail "the machine ran other tests than expected"
cp "$out/e2e-vm.json" target/
say "the way through v4l2loopback, measured in the machine: target/e2e-vm.json"
say "devices in a virtual machine: passed in $(($(date +%s) - begin)) s"
