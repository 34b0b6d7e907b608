#!/usr/bin/env bash
# kafka-server-start.sh [-daemon] server.properties [--override key=value ...]
# With -daemon the server runs in the background and writes to $LOG_DIR/kafkaServer.out (logs/kafkaServer.out).
. "$(dirname "$(readlink -f "$0")")/find-ottla.sh"
if [ $# -lt 1 ]; then
  echo "USAGE: $0 [-daemon] server.properties [--override key=value ...]" >&2
  exit 1
fi
if [ "$1" != -daemon ]; then
  exec "$ottla" "$@"
fi
shift
logs=${LOG_DIR:-$ottla_home/logs}
mkdir -p "$logs"
nohup "$ottla" "$@" >"$logs/kafkaServer.out" 2>&1 </dev/null &
