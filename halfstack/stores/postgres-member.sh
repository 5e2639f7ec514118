#!/bin/sh
# Member $MEMBER of PostgreSQL. At its first start it is a database of its own where $PRIMARY names it,
# else a copy of that one, which it follows. Later starts go by what is in its data.
set -eu
if [ "$MEMBER" != "$PRIMARY" ] && [ ! -s "$PGDATA/PG_VERSION" ]; then
  eval "address=\$ADDRESS_$PRIMARY"
  install -d -o postgres -g postgres -m 0700 "$(dirname "$PGDATA")" "$PGDATA"
  export PGPASSWORD="$REPLICATION_PASSWORD"
  copy() {
    setpriv --reuid postgres --regid postgres --init-groups pg_basebackup --pgdata "$PGDATA" \
      --write-recovery-conf --wal-method stream --checkpoint fast --no-password \
      --host "${address% *}" --port "${address#* }" --username replicator
  }
  until copy; do
    find "$PGDATA" -mindepth 1 -delete
    sleep 2
  done
fi
exec docker-entrypoint.sh "$@"
