#!/usr/bin/env bash
# Send a payload to what serve_local.sh serves; prints the answer, and fails when it is not a 200:
#   [PORT=8080] predict.sh [PAYLOAD]      by default payloads/three-digits.json
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

exec python3 - "${1:-$here/payloads/three-digits.json}" "http://127.0.0.1:${PORT:-8080}/invocations" <<'PYTHON'
import sys
import urllib.error
import urllib.request

payload, url = sys.argv[1:]
with open(payload, "rb") as body:
    request = urllib.request.Request(url, body.read(), {"Content-Type": "application/json"})
try:
    with urllib.request.urlopen(request, timeout=60) as answer:
        print(answer.read().decode())
except urllib.error.HTTPError as refusal:
    sys.exit(f"HTTP {refusal.code}: {refusal.read().decode()}")
except urllib.error.URLError as error:
    sys.exit(f"{url}: {error.reason}; is serve_local.sh running?")
PYTHON
