#!/usr/bin/env bash
# registry.sh install             a real image registry (Debian's docker-registry), unpacked into the test bed: no service, no package
# registry.sh serve PORT FOLDER   serves FOLDER on 127.0.0.1:PORT in the foreground; Docker takes loopback registries without TLS
set -euo pipefail
. "$(dirname "$(readlink -f "$0")")/env.sh"
REGISTRY=$STEPAUDIO_TESTBED/registry/usr/bin/docker-registry

case ${1:-install} in
  install)
    [ ! -x "$REGISTRY" ] || exit 0
    mkdir -p "$STEPAUDIO_TESTBED/registry"
    cd "$STEPAUDIO_TESTBED/registry"
    apt-get download -qq docker-registry 2>/dev/null || { as_root; apt-get update -qq; apt-get download -qq docker-registry; }
    dpkg -x docker-registry_*.deb .
    say "$("$REGISTRY" --version)";;
  serve)
    [ -x "$REGISTRY" ] || die "no registry: run registry.sh install"
    mkdir -p "$3"
    cat > "$3/config.yml" <<YAML
version: 0.1
log: {level: warn}
storage: {filesystem: {rootdirectory: "$3"}}
http: {addr: "127.0.0.1:$2"}
YAML
    exec "$REGISTRY" serve "$3/config.yml";;
  *) die "registry.sh install|serve PORT FOLDER";;
esac
