#!/usr/bin/env bash
# Train as SageMaker would, with the opt/ml tree beside this script in place of /opt/ml:
#   train_local.sh [IMAGE]      in a container of IMAGE, or else in this machine's Python
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ "$#" -gt 0 ]; then
  exec docker run --rm --network none --user "$(id -u):$(id -g)" -v "$here/opt/ml:/opt/ml" "$1" train
fi
python=${PYTHON:-$here/../../.venv/bin/python}
[ -x "$python" ] || { echo "there is no $python: run 'make setup', set PYTHON, or name an image" >&2; exit 1; }
SAGEMAKER_BASE_DIR="$here/opt/ml" exec "$python" "$here/../src/train"
