#!/usr/bin/env bash
# Serve a model on 127.0.0.1 until Ctrl-C:
#   [PORT=8080] serve_local.sh [ARCHIVE] [IMAGE]
# ARCHIVE is a model.tar.gz, or a directory with its content; by default opt/ml/model beside this script.
# With IMAGE it runs a container, as SageMaker would (LOCKED_DOWN=1: as user 10001, without capabilities,
# on a read-only root); else it uses this machine's Python. The variables in ../README.md, such as
# SAGEMAKER_… and SERVE_…, are passed on.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-8080}
archive=$here/opt/ml/model
case ${1:-} in
  '') ;;
  /* | ./* | ../* | *.tar.gz | *.tgz)
    [ -e "$1" ] || { echo "there is no $1" >&2; exit 1; }
    archive=$1; shift ;;
  *) if [ -e "$1" ]; then archive=$1; shift; fi ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch" # for another user in a container
if [ -d "$archive" ]; then
  ln -s "$(cd "$archive" && pwd)" "$scratch/model"
else
  mkdir "$scratch/model"
  tar -xzf "$archive" -C "$scratch/model" --no-same-owner
fi

if [ "$#" -gt 0 ]; then
  options=(--rm -p "127.0.0.1:$port:8080" -v "$(readlink -f "$scratch/model"):/opt/ml/model:ro")
  for name in $(compgen -e | grep -E '^(SAGEMAKER|SERVE|ENGINE|LOG|TS)_|^(ENGINE|RELEASE_ID)$'); do
    case $name in
      SAGEMAKER_BASE_DIR | SAGEMAKER_BIND_TO_PORT | SERVE_HOST) ;;
      *) options+=(-e "$name") ;;
    esac
  done
  if [ -n "${LOCKED_DOWN:-}" ]; then
    options+=(--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --user 10001)
  fi
  docker run "${options[@]}" "$1" serve &
else
  python=${PYTHON:-$here/../../.venv/bin/python}
  [ -x "$python" ] || { echo "there is no $python: run 'make setup', set PYTHON, or name an image" >&2; exit 1; }
  SAGEMAKER_BASE_DIR="$scratch" SAGEMAKER_BIND_TO_PORT="$port" SERVE_HOST=127.0.0.1 \
    "$python" "$here/../src/serve" &
fi
server=$!
trap 'stopped=yes; kill -TERM "$server" 2>/dev/null || true' TERM INT
while :; do # a signal ends a wait before the server has ended
  stopped='' code=0
  wait "$server" || code=$?
  [ -n "$stopped" ] || exit "$code"
done
