#!/usr/bin/env bash
# The whole test bed: a Docker Engine, a CPU vLLM, tiny checkpoints and the images. What is there is kept.
# Minutes from nothing on two cores: about 8. With everything there: seconds.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
mkdir -p "$STEPAUDIO_TESTBED"
exec 8>"$STEPAUDIO_TESTBED/all.lock"
flock 8

step() {
  local started=$SECONDS
  say "== $1"
  shift
  "$@" 8>&-
  say "   $((SECONDS - started)) s"
}
step 'Docker Engine' "$HERE/docker.sh" start
step 'vLLM for a CPU' "$HERE/vllm-venv.sh"
step 'images' "$HERE/images.sh"
step 'a checkpoint with random weights' "$VLLM_VENV/bin/python" "$HERE/checkpoints.py" "$CHECKPOINTS"
step 'a checkpoint that hears' "$VLLM_VENV/bin/python" "$HERE/listener.py" "$CHECKPOINTS"
step 'rehearsal image' "$HERE/rehearsal-image.sh"
step 'a registry' "$HERE/registry.sh" install
say "test bed ready in $STEPAUDIO_TESTBED"
