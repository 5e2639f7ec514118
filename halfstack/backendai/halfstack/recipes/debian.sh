# Make two root file systems of Debian in one go.
# Arguments: suite, tar file of the base, tar file of the base with Python.
set -eu
suite=$1 base=$2 python=$3
here=$(dirname "$0")

set -- --variant=apt --format=tar --include=ca-certificates,bash,procps
while read -r option; do
  set -- "$@" "--dpkgopt=$option"
done < "$here/slim.conf"

# The base is set aside first, then Python is put on top of it.
pack="tar --create --one-file-system --numeric-owner --exclude=./dev/* --exclude=./proc/*"
pack="$pack --exclude=./sys/* --exclude=./var/lib/apt/lists/* --exclude=./var/cache/apt/*"
pack="$pack --exclude=./tmp/* --exclude=./run/* --exclude=./etc/resolv.conf"
set -- "$@" --customize-hook="$pack --directory=\"\$1\" --file=\"$base\" ."
set -- "$@" --customize-hook='APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get --yes \
  --no-install-recommends -oDPkg::Chroot-Directory="$1" install python3'
# The modules are compiled now, since nobody may write to the image later.
set -- "$@" --customize-hook='chroot "$1" /usr/bin/python3 -m compileall -q \
  -x "test|lib2to3" /usr/lib/python3.11 || true'
exec mmdebstrap "$@" "$suite" "$python"
