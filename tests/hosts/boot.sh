# The first process of a host: own processes, mounts, name and network; ends with them all.
# $1 its name, $2 its folder, $3 the name of its control group, $4 what its engine logs at least.
set -eu
hostname "$1"
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "$2/groups" "$2/docker" "$2/containerd"
# A view of the machine's interfaces would be another host's; groups are the machine's.
mount --rbind /sys/fs/cgroup "$2/groups"
mount -t sysfs sysfs /sys
mount --rbind "$2/groups" /sys/fs/cgroup
echo 1 >/proc/sys/net/ipv4/ip_forward
ip link set lo up
# Beside the engine, so that an engine that is killed finds its containers again.
printf '%s\n' 'version = 2' 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' >/run/containerd.toml
containerd --config /run/containerd.toml --root "$2/containerd" --state /run/containerd \
  --address /run/containerd.sock --log-level warn >>"$2/containerd.log" 2>&1 &
until [ -S /run/containerd.sock ]; do sleep 0.05; done
while :; do
  rm -f /run/docker.pid
  dockerd --data-root "$2/docker" --exec-root /run/docker --pidfile /run/docker.pid \
    --host unix:///run/docker.sock --containerd /run/containerd.sock \
    --cgroup-parent "/$3" --group "" --default-ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" \
    --userland-proxy=false --log-level "$4" >>"$2/dockerd.log" 2>&1 || sleep 0.2
done
