#!/bin/sh
# Looks whether the engine has, or can pull, the images that the compose files name. For each that
# it cannot, .env names an image made here of Debian packages, on top of $BASE_IMAGE.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
base=${BASE_IMAGE:-debian:bookworm-slim} own=backendai/stores:bookworm
cd "$here"
[ -e .env ] || (umask 077; : > .env)
for one in POSTGRES=postgres:18 REDIS=valkey/valkey:9 ETCD=quay.io/coreos/etcd:v3.5.21; do
  variable=${one%%=*}_IMAGE image=${one#*=}
  if grep -q "^$variable=" .env || docker image inspect "$image" > /dev/null 2>&1; then continue; fi
  if docker pull --quiet "$image" > /dev/null 2>&1; then continue; fi
  if ! docker image inspect "$own" > /dev/null 2>&1; then
    echo "$image cannot be pulled; making $own of Debian packages on $base"
    docker build --quiet --build-arg "BASE=$base" --tag "$own" stores
  fi
  echo "$variable=$own" >> .env
done
