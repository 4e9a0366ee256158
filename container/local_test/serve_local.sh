#!/usr/bin/env bash
# Serve the model in opt/ml/model beside this script, on 127.0.0.1, until Ctrl-C:
#   [PORT=8080] serve_local.sh [IMAGE]      in a container of IMAGE, or else in this machine's Python
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
port=${PORT:-8080}

if [ "$#" -gt 0 ]; then
  exec docker run --rm -p "127.0.0.1:$port:8080" -e RELEASE_ID="${RELEASE_ID:-unreleased}" \
    -v "$here/opt/ml/model:/opt/ml/model:ro" "$1" serve
fi
python=${PYTHON:-$here/../../.venv/bin/python}
[ -x "$python" ] || { echo "there is no $python: run 'make setup', set PYTHON, or name an image" >&2; exit 1; }
SAGEMAKER_BASE_DIR="$here/opt/ml" SAGEMAKER_BIND_TO_PORT="$port" SERVE_HOST=127.0.0.1 \
  exec "$python" "$here/../src/serve"
