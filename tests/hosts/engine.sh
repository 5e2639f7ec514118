# What a host is besides a machine: a container engine, until it is switched off.
# $1 its folder, $2 the name of its control group, $3 what its engine logs at least.
set -eu
mkdir -p "$1/groups" "$1/docker" "$1/containerd"
# A view of the machine's interfaces would be another host's; groups are the machine's.
mount --rbind /sys/fs/cgroup "$1/groups"
mount -t sysfs sysfs /sys
mount --rbind "$1/groups" /sys/fs/cgroup
echo 1 >/proc/sys/net/ipv4/ip_forward
# Beside the engine, so that an engine that is killed finds its containers again.
printf '%s\n' 'version = 2' 'disabled_plugins = ["io.containerd.grpc.v1.cri"]' >/run/containerd.toml
containerd --config /run/containerd.toml --root "$1/containerd" --state /run/containerd \
  --address /run/containerd.sock --log-level warn >>"$1/containerd.log" 2>&1 &
until [ -S /run/containerd.sock ]; do sleep 0.05; done
while :; do
  rm -f /run/docker.pid
  dockerd --data-root "$1/docker" --exec-root /run/docker --pidfile /run/docker.pid \
    --host unix:///run/docker.sock --containerd /run/containerd.sock \
    --cgroup-parent "/$2" --group "" --default-ulimit "nofile=$(ulimit -Hn):$(ulimit -Hn)" \
    --userland-proxy=false --log-level "$3" >>"$1/dockerd.log" 2>&1 || sleep 0.2
done
