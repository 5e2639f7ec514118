#!/bin/sh
# At the first start of the primary: lets a replica copy it and follow it.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<END
CREATE ROLE replicator REPLICATION LOGIN PASSWORD '$REPLICATION_PASSWORD';
END
echo 'host replication replicator all scram-sha-256' >> "$PGDATA/pg_hba.conf"
