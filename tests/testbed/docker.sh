#!/usr/bin/env bash
# docker.sh install|start|stop|restart   a Docker Engine that accepts GPU requests on a machine without a GPU
#
# An engine that already answers is left as it is. Where none does, Debian's is installed and started by hand
# (no systemd needed), with two stand-ins:
#   --gpus, device requests, compose reservations: a nvidia-container-runtime-hook on dockerd's PATH
#   --device nvidia.com/gpu=all: a CDI specification
# GPU_STANDIN=none|hook|cdi|both (both) chooses. The files are copied to the test bed, so that the daemon outlives this clone.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
: "${GPU_STANDIN:=both}"
PIDFILE=/var/run/docker.pid
LOG=$STEPAUDIO_TESTBED/dockerd.log
STANDIN=$STEPAUDIO_TESTBED/gpu-standin
CDI=$STEPAUDIO_TESTBED/cdi

answers() { docker version >/dev/null 2>&1; }
has_compose() { docker compose version >/dev/null 2>&1 || docker-compose version >/dev/null 2>&1; }

# Debian 12 has Docker 20.10 (no CDI) and no compose 2. Those of Debian 13 need no more than bookworm's libc; containerd, runc and
# tini have to stay bookworm's, hence the pin. To undo: remove the two files, `apt-get install --allow-downgrades docker.io/bookworm`.
use_trixie() {
  local sources=/etc/apt/sources.list.d/debian.sources
  [ -e "$sources" ] || die "no $sources to derive the source of Docker 26.1 from"
  sed 's/ bookworm-updates//; s/bookworm/trixie/g' "$sources" > /etc/apt/sources.list.d/trixie-docker.sources
  cat > /etc/apt/preferences.d/trixie-docker <<'PIN'
Package: *
Pin: release n=trixie*
Pin-Priority: -1

Package: docker.io docker-cli docker-compose docker-buildx
Pin: release n=trixie*
Pin-Priority: 990
PIN
}

install_engine() {
  if have dockerd && has_compose; then return; fi
  as_root
  if grep -q bookworm /etc/os-release; then use_trixie; fi
  say "installing Docker Engine and compose"
  apt-get update -qq
  NEEDRESTART_SUSPEND=1 apt-get install -y -qq --no-install-recommends docker.io docker-cli docker-compose docker-buildx iptables >/dev/null
  say "$(dockerd --version)"
}

# copies the stand-ins and writes the daemon's configuration; PATH of the daemon gets the hook
prepare_standin() {
  mkdir -p "$CDI"
  rm -rf "$STANDIN" "$CDI"/*
  cp -r "$HERE/gpu-standin" "$STANDIN"
  echo '{}' > "$STEPAUDIO_TESTBED/daemon.json"
  case $GPU_STANDIN in cdi|both)
    if [ "$(dockerd --version | sed -E 's/^Docker version ([0-9]+).*/\1/')" -lt 25 ]; then
      say "this Docker Engine has no CDI"      # and refuses to start on a key that it does not know
    else
      sed "s#@HERE@#$STANDIN#" "$STANDIN/nvidia.yaml" > "$CDI/nvidia.yaml"
      printf '{"features": {"cdi": true}, "cdi-spec-dirs": ["%s"]}\n' "$CDI" > "$STEPAUDIO_TESTBED/daemon.json"
    fi;;
  esac
  case $GPU_STANDIN in hook|both) export PATH="$STANDIN:$PATH";; esac
}

start() {
  install_engine
  if answers; then say "Docker Engine $(docker version -f '{{.Server.Version}}') is running"; return; fi
  as_root
  prepare_standin
  # a session of its own, no terminal: it outlives the shell that started it
  setsid dockerd --config-file "$STEPAUDIO_TESTBED/daemon.json" >"$LOG" 2>&1 </dev/null &
  for _ in $(seq 150); do answers && break; sleep .2; done
  answers || { tail -20 "$LOG" >&2; die "dockerd did not come up, see $LOG"; }
  say "Docker Engine $(docker version -f '{{.Server.Version}}') started, GPU stand-in: $GPU_STANDIN"
}

stop() {
  local pid
  pid=$(cat "$PIDFILE" 2>/dev/null) && kill -0 "$pid" 2>/dev/null || { say "no dockerd is running"; return; }
  as_root
  kill -TERM "$pid"
  for _ in $(seq 150); do kill -0 "$pid" 2>/dev/null || { say "dockerd stopped"; return; }; sleep .2; done
  die "dockerd ($pid) did not stop"
}

mkdir -p "$STEPAUDIO_TESTBED"
case ${1:-start} in
  install) install_engine;;
  start) start;;
  stop) stop;;
  restart) stop; start;;
  *) die "docker.sh install|start|stop|restart";;
esac
