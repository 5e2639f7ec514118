# Debian's own servers: apt-get install postgresql redis-server etcd-server
. "$here/.env"
systemctl start postgresql redis-server etcd
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
if [ -z "$(as_postgres psql -Atc "SELECT 1 FROM pg_roles WHERE rolname = 'backendai'")" ]; then
  # Not on the command line, which every user of the machine may read.
  echo "CREATE ROLE backendai LOGIN PASSWORD '$POSTGRES_PASSWORD'" | as_postgres psql -q
fi
if [ -z "$(as_postgres psql -Atc "SELECT 1 FROM pg_database WHERE datname = 'backendai'")" ]; then
  as_postgres createdb --owner backendai --template template0 --encoding UTF8 --locale C.UTF-8 backendai
fi
