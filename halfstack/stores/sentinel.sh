#!/bin/sh
# One of three that watch the master of Redis and make its replica the master when it is gone.
set -eu
port=$1 announce=$2 master=$3
if [ ! -e sentinel.conf ]; then
  cat > sentinel.conf <<END
dir /data
port $port
bind $announce
sentinel monitor mymaster $master 2
sentinel down-after-milliseconds mymaster 3000
sentinel failover-timeout mymaster 10000
END
fi
sed -i '/^requirepass /d; /^sentinel sentinel-pass /d; /^sentinel auth-pass /d' sentinel.conf
cat >> sentinel.conf <<END
requirepass "$REDISCLI_AUTH"
sentinel sentinel-pass "$REDISCLI_AUTH"
sentinel auth-pass mymaster "$REDISCLI_AUTH"
END
exec valkey-server sentinel.conf --sentinel
