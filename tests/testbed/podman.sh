#!/usr/bin/env bash
# podman.sh install|start|stop|load IMAGE   Podman with its Docker-compatible socket, beside a Docker Engine
#
# `start` prints the socket's address, for DOCKER_HOST; the service ends after ten idle minutes. `load` copies an image of the Docker
# Engine into Podman.
# Podman's images, containers and state lie in the test bed; the machine's own stay as they are.
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
STATE=$STEPAUDIO_TESTBED/podman
SOCKET=$STATE/podman.sock
PODMAN=(podman --root "$STATE/storage" --runroot "$STATE/run" --tmpdir "$STATE/tmp")
alive() { [ -s "$STATE/pid" ] && kill -0 "$(cat "$STATE/pid")" 2>/dev/null; }

# Without systemd. Podman asks for 1048576 open files and processes a container, which a root without CAP_SYS_RESOURCE may not grant;
# its service has no more than 32768 processes itself.
configure() {
  cat > "$STATE/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=32768:32768"]
[engine]
cgroup_manager = "cgroupfs"
runtime = "runc"
events_logger = "file"
CONF
}

load() {
  local wanted there
  wanted=$(docker image inspect -f '{{.Id}}' "$1")
  there=$("${PODMAN[@]}" image inspect -f '{{.Id}}' "$1" 2>/dev/null || true)
  if [ "${wanted#sha256:}" != "$there" ]; then docker save "$1" | "${PODMAN[@]}" load -q >&2; fi
}

mkdir -p "$STATE"
exec 7>"$STATE/lock"
flock 7
export CONTAINERS_CONF=$STATE/containers.conf
case ${1:-start} in
  install) apt_install podman conmon runc containernetworking-plugins iptables;;
  start)
    have podman || die "no podman: run podman.sh install"
    if ! alive; then
      configure
      rm -f "$SOCKET"
      setsid "${PODMAN[@]}" system service --time 600 "unix://$SOCKET" >"$STATE/log" 2>&1 </dev/null 7>&- &
      echo $! > "$STATE/pid"
    fi
    for _ in $(seq 100); do [ -S "$SOCKET" ] && break; sleep .1; done
    [ -S "$SOCKET" ] || { tail -5 "$STATE/log" >&2; die "podman's service did not come up"; }
    echo "unix://$SOCKET";;
  stop) if alive; then kill -TERM "$(cat "$STATE/pid")"; fi; rm -f "$STATE/pid" "$SOCKET";;
  load) load "$2";;
  *) die "podman.sh install|start|stop|load IMAGE";;
esac
