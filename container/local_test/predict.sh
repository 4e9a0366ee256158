#!/usr/bin/env bash
# Send a payload to what serve_local.sh serves; prints the answer, and fails when it is not a 200:
#   [PORT=8080] predict.sh [PAYLOAD [CONTENT_TYPE [ACCEPT]]]
# PAYLOAD is a file, or - for what comes in; by default payloads/three-digits.json. CONTENT_TYPE follows
# from the file's name where it is not given: .json, .jsonl, .csv, .npy, .npz, .txt, .jpg and the like.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

exec python3 "$here/send.py" "http://127.0.0.1:${PORT:-8080}/invocations" \
  "${1:-$here/payloads/three-digits.json}" "${@:2}"
