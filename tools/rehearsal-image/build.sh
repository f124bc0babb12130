#!/usr/bin/env bash
# Build the rehearsal engine's image: wheels made here, installed without a network in the build.
#   build.sh [--base IMAGE] [--tag TAG] [--python PYTHON]
# BASE needs python3 (3.10 or newer) with venv. PYTHON makes the wheels; any with pip will do.
set -euo pipefail

base=python:3.11-slim
tag=stepaudio-serve/rehearsal:0.1.0
python=${PYTHON:-python3}
while [ $# -gt 0 ]; do
  case $1 in
    --base) base=$2; shift 2 ;;
    --tag) tag=$2; shift 2 ;;
    --python) python=$2; shift 2 ;;
    -h|--help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "build.sh: unknown argument $1" >&2; exit 2 ;;
  esac
done

here=$(cd "$(dirname "$0")" && pwd)
context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
mkdir "$context/wheels"
cp "$here/Dockerfile" "$context/"

target=$(docker run --rm --entrypoint python3 "$base" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
case $(docker image inspect --format '{{.Architecture}}' "$base") in
  arm64) machine=aarch64 ;;
  *) machine=x86_64 ;;
esac

"$python" -m pip wheel --quiet --no-deps --wheel-dir "$context/wheels" "$here/../.."
"$python" -m pip download --quiet --dest "$context/wheels" --only-binary=:all: --python-version "$target" \
  --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
  "$(ls "$context"/wheels/stepaudio_serve-*.whl)[rehearsal]"

docker build --quiet --build-arg "BASE=$base" --tag "$tag" "$context"
echo "image ready: $tag" >&2
