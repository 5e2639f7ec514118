# The compose files of this folder, with the passwords of its .env.
compose="docker compose"
$compose version > /dev/null 2>&1 || compose=docker-compose
"$here/find-images.sh"
for one in postgres redis etcd; do
  (cd "$here" && $compose -p backendai -f "docker-compose.hs.$one.yaml" up -d)
done
attempts=60
for one in postgres redis etcd; do
  container=$(cd "$here" && $compose -p backendai -f "docker-compose.hs.$one.yaml" ps -q "$one")
  until [ "$(docker inspect --format '{{.State.Health.Status}}' "$container")" = healthy ]; do
    attempts=$((attempts - 1))
    [ "$attempts" -gt 0 ] || { echo "$one is not healthy: docker logs $container" >&2; exit 1; }
    sleep 1
  done
done
