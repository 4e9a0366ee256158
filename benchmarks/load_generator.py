"""Requests per CPU-second of the client: boto3, Locust's HttpUser and FastHttpUser, and this project's generator.

    python -m benchmarks.load_generator [--rounds 5] [--seconds 3]

Each client runs in a process of its own, as twenty Locust users without a pause, against a server that answers at
once. The clients take turns, round after round, so that other work on the machine affects all of them. Figures are
medians over the rounds, and medians of each round's ratio to boto3. HttpUser and FastHttpUser send unsigned requests:
their figures lack the cost of signing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.instant_server import instant_server
from benchmarks.load_clients import CASE, CLIENTS, ROOT, USERS, measure

ANSWER = (CASE.expected.body or b"").decode()
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t", "AWS_DEFAULT_REGION": "eu-west-1"
}  # fmt: skip


def compare(rounds: int, seconds: float) -> dict[str, Any]:
    """Run every client in every round; return their rates, and the median ratios to boto3."""
    rates: dict[str, list[float]] = {client: [] for client in CLIENTS}
    with instant_server(ANSWER) as (kind, url):
        environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url}
        for number in range(rounds):
            shift = number % len(CLIENTS)
            for client in CLIENTS[shift:] + CLIENTS[:shift]:
                rates[client].append(_requests_per_cpu_second(client, seconds, environ))
    ratios = {
        client: statistics.median(own / boto3 for own, boto3 in zip(each, rates["boto3"], strict=True))
        for client, each in rates.items()
    }
    return {"server": kind, "rounds": rounds, "seconds": seconds, "users": USERS,
            "requests_per_cpu_second": rates, "ratio_to_boto3": ratios}  # fmt: skip


def _requests_per_cpu_second(client: str, seconds: float, environ: dict[str, str]) -> float:
    command = [
        sys.executable,
        "-m",
        "benchmarks.load_generator",
        "--client",
        client,
        "--seconds",
        str(seconds),
    ]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{client} failed:\n{done.stderr}")
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failures"]:
        raise SystemExit(f"{client}: {found['failures']} requests failed: {found['errors']}")
    rate: float = found["requests"] / found["cpu_seconds"]
    return rate


def table(found: dict[str, Any]) -> str:
    """Format the figures as a markdown table."""
    lines = [
        "| client | requests per client CPU-second, median (lowest–highest) | times boto3 |",
        "|---|---:|---:|",
    ]
    for client, each in found["requests_per_cpu_second"].items():
        spread = f"{statistics.median(each):,.0f} ({min(each):,.0f}–{max(each):,.0f})"
        lines.append(f"| {client} | {spread} | {found['ratio_to_boto3'][client]:.1f} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--client", choices=CLIENTS, help="run only this one, against AWS_ENDPOINT_URL")
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    args = parser.parse_args()
    if args.client:
        print(json.dumps(measure(args.client, args.seconds)))
        return
    found = compare(args.rounds, args.seconds)
    print(f"{found['rounds']} rounds of {found['seconds']:g} s, {USERS} users, against {found['server']}\n")
    print(table(found))
    if args.out:
        args.out.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
