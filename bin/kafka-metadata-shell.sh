#!/usr/bin/env bash
. "$(dirname "$(readlink -f "$0")")/find-ottla.sh"
exec "$ottla" kafka-metadata-shell "$@"
