# Sourced by the scripts beside it: sets $ottla to the program they run. $OTTLA wins; then the program beside the
# scripts, then the newest that was built here, then the one on PATH.
ottla_home=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)
ottla=${OTTLA:-}
if [ -z "$ottla" ]; then
  for built in "$ottla_home"/bin/ottla "$ottla_home"/target/release/ottla "$ottla_home"/target/debug/ottla; do
    if [ -x "$built" ] && { [ -z "$ottla" ] || [ "$built" -nt "$ottla" ]; }; then
      ottla=$built
    fi
  done
fi
if [ -z "$ottla" ] && ! ottla=$(command -v ottla); then
  echo "ottla is not built: run 'cargo build --release' in $ottla_home, or set OTTLA to the program" >&2
  exit 1
fi
