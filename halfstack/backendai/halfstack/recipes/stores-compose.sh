# The compose files of this folder, with the passwords of its .env.
compose="docker compose"
$compose version > /dev/null 2>&1 || compose=docker-compose
for one in postgres redis etcd; do
  (cd "$here" && $compose -p backendai -f "docker-compose.hs.$one.yaml" up -d)
done
attempts=60
until "$program" mgr etcd -f "$etc/manager.toml" ls > /dev/null 2>&1; do
  attempts=$((attempts - 1))
  [ "$attempts" -gt 0 ] || { echo "etcd does not answer" >&2; exit 1; }
  sleep 1
done
