#!/usr/bin/env bash
# The rehearsal engine's image from this working tree, on the test bed's own base; built again only when its sources changed.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
has_image "$PYTHON_IMAGE" || die "no image $PYTHON_IMAGE: run images.sh"
RECORD=$STEPAUDIO_TESTBED/rehearsal-image.made-from
mkdir -p "$STEPAUDIO_TESTBED"
exec 9>"$STEPAUDIO_TESTBED/rehearsal-image.lock"
flock 9

# a digest of what the engine in the image runs: the package less the launcher's own parts
sources() {
  cd "$REPOSITORY"
  find stepaudio_serve templates pyproject.toml tools/rehearsal-image -type f \
    -not -path '*/__pycache__/*' -not -path 'stepaudio_serve/cli/*' -not -path 'stepaudio_serve/client/*' \
    -not -path 'stepaudio_serve/diagnosis/*' -not -path 'stepaudio_serve/facts/*' -not -path 'stepaudio_serve/lifecycle/*' -not -path 'stepaudio_serve/render/*' \
    -not -path 'stepaudio_serve/runtime/*' -not -path 'stepaudio_serve/settings/*' -not -path 'stepaudio_serve/startup/*' \
    -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
}
image() { docker image inspect -f '{{.Id}}' "$1" 2>/dev/null || true; }
# the image counts only with these sources, on this base, and if nobody has put another one under its name
made_from() { echo "$SOURCES $(image "$PYTHON_IMAGE") $(image "$REHEARSAL_IMAGE")"; }

SOURCES=$(sources)
if [ -n "$(image "$REHEARSAL_IMAGE")" ] && [ "$(made_from)" = "$(cat "$RECORD" 2>/dev/null)" ]; then exit 0; fi
PYTHON=$REPOSITORY/.venv/bin/python
[ -x "$PYTHON" ] || die "no $PYTHON: run make setup"
"$REPOSITORY/tools/rehearsal-image/build.sh" --base "$PYTHON_IMAGE" --tag "$REHEARSAL_IMAGE" --python "$PYTHON" >/dev/null 9>&-
made_from > "$RECORD"
