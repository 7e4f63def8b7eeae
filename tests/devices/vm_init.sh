#!/bin/busybox sh
# The first process of the test's virtual machine: loads the devices, puts a scratch layer over the host's files
# (which stay read-only) and runs /out/job.sh in them.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ifconfig lo 127.0.0.1 up
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
say() { echo "VM: $* after $(cut -d' ' -f1 /proc/uptime) s"; }
while read -r module; do
  options=
  case $module in
    # Two webcams, /dev/video0 and 1, and nothing else that vivid can pretend to be.
    vivid.ko) options="n_devs=2 node_types=0x1,0x1 vid_cap_nr=0,1 input_types=0x0,0x0 num_inputs=1,1" ;;
    # One as the README says to load it, one that is camera and output at once.
    v4l2loopback.ko) options="video_nr=10,11 card_label=effigy,second exclusive_caps=1,0" ;;
  esac
  insmod /modules/"$module" $options || say "insmod $module failed"
done < /modules/order
say "modules"
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=loose,ro hostroot /host || say "no host files"
mount -t tmpfs scratch /overlay
mkdir /overlay/upper /overlay/work
mount -t overlay -o lowerdir=/host,upperdir=/overlay/upper,workdir=/overlay/work overlay /new || say "no overlay"
for folder in proc sys dev; do mount -o bind /$folder /new/$folder; done
mkdir -p /new/out
mount -t tmpfs tmp
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 out /new/out
say "files"
chroot /new /bin/bash /out/job.sh > /new/out/job.log 2>&1
code=$?
echo $code > /new/out/code
say "job ended with $code"
poweroff -f
