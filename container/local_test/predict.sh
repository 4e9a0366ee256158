#!/usr/bin/env bash
# Send a payload to serve_local.sh's server; print the answer, and fail unless it is a 200:
#   [PORT=8080] predict.sh [PAYLOAD [CONTENT_TYPE [ACCEPT]]]
# PAYLOAD is a file, or - for standard input; by default payloads/three-digits.json. CONTENT_TYPE follows
# from the file's name by default: .json, .jsonl, .csv, .npy, .npz, .txt, .jpg and the like.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

exec python3 "$here/send.py" "http://127.0.0.1:${PORT:-8080}/invocations" \
  "${1:-$here/payloads/three-digits.json}" "${@:2}"
