#!/bin/sh
# One of several servers of Redis. Sentinels write to its file which of them is the master, so the
# file is made once; the passwords in it are those of the environment at each start.
set -eu
port=$1 announce=$2 master=${3:-}
if [ ! -e valkey.conf ]; then
  printf 'dir /data\nport %s\nbind %s\nappendonly yes\n' "$port" "$announce" > valkey.conf
  [ -z "$master" ] || echo "replicaof $master" >> valkey.conf
fi
sed -i '/^requirepass /d; /^masterauth /d' valkey.conf
printf 'requirepass "%s"\nmasterauth "%s"\n' "$REDISCLI_AUTH" "$REDISCLI_AUTH" >> valkey.conf
exec valkey-server valkey.conf
