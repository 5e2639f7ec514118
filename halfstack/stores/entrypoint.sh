#!/bin/sh
# The first start of PostgreSQL, by the variables that its official image reads too.
set -eu
[ "$1" = postgres ] || exec "$@"

as_postgres() { setpriv --reuid postgres --regid postgres --init-groups env HOME=/var/lib/postgresql "$@"; }

if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Another image served this volume: an empty database beside its data would look like a loss.
  volume=$(dirname "$(dirname "$PGDATA")")
  other=$(find "$volume" -maxdepth 3 -name PG_VERSION -size +0 -print -quit)
  if [ -n "$other" ]; then
    echo "The volume has the data of PostgreSQL $(cat "$other") in $(dirname "$other"), this image" \
      "works in $PGDATA: let POSTGRES_IMAGE in .env name the image that made it." >&2
    exit 1
  fi
  install -d -o postgres -g postgres -m 0700 "$(dirname "$PGDATA")" "$PGDATA"
  printf '%s\n' "$POSTGRES_PASSWORD" | as_postgres sh -euc "
    cat > /var/run/postgresql/password
    initdb --username='$POSTGRES_USER' --pwfile=/var/run/postgresql/password $POSTGRES_INITDB_ARGS
    rm /var/run/postgresql/password"
  echo 'host all all all scram-sha-256' >> "$PGDATA/pg_hba.conf"
  as_postgres pg_ctl -w -o "-c listen_addresses=''" start
  export PGUSER="$POSTGRES_USER"
  as_postgres createdb "$POSTGRES_DB"
  for script in /docker-entrypoint-initdb.d/*.sh; do
    [ ! -f "$script" ] || as_postgres sh -eu "$script"
  done
  as_postgres pg_ctl -w -m fast stop
fi
exec setpriv --reuid postgres --regid postgres --init-groups "$@"
