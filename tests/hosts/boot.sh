# The first process of a machine: own processes, mounts, name and network; ends with them all.
# $1 its name; the rest is what it then is.
set -eu
hostname "$1"
shift
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
exec "$@"
