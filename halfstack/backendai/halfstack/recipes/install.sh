#!/bin/sh
# Puts an exported cluster in place, as root, where its wheels were installed in /opt/backend.ai.
# Run again, it goes on where it stopped; what managers have in their
# stores, and settings of a cluster that is in place, it never replaces.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=/opt/backend.ai/bin/backendai
etc=/etc/backend.ai
[ -x "$program" ] || { echo "install the wheels in /opt/backend.ai first" >&2; exit 1; }

systemd-sysusers /opt/backend.ai/lib/sysusers.d/backendai.conf
mkdir -p "$etc" /var/lib/backendai/volumes
if [ ! -e "$etc/.restored" ]; then cp -a "$here/etc/." "$etc/"; fi
cd "$etc"
chown root:root -- *
chown backendai:backendai manager.toml manager.key manager.secret relay.secret webserver.toml webserver.secret wsproxy.toml
chown backendai-work:backendai-work storage-proxy.toml
chmod 0755 "$etc"
cp -a --no-clobber "$here/volumes/." /var/lib/backendai/volumes/
chown -R backendai-work:backendai-work /var/lib/backendai/volumes

@STORES@

if [ ! -e "$etc/.restored" ]; then
  "$program" mgr restore "$here/cluster.tar.gz" --yes -f "$etc/manager.toml"
  touch "$etc/.restored"
fi
chown backendai:backendai manager.key manager.secret
cd /opt/backend.ai/lib/systemd/system
install -D -m 0644 -t /usr/local/lib/systemd/system backendai-*.service
systemctl daemon-reload
systemctl enable --now backendai-*.service
