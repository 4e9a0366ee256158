"""What report and summary both say of an evidence, as plain text: each escapes it for its own page."""

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]

GATE_HEADS = ("gate", "#measured", "#limit", "verdict", "reason")  # # marks a column of numbers
LEDGER_HEADS = ("phase", "#seconds here", "#AWS seconds", "kind", "source")
REGRESSION_HEADS = ("percentile", "#slower by", "#at least", "#at most", "#slices")
COST_HEADS = ("figure", "#value")


def amount(value: float | None, unit: str = "") -> str:
    """Four digits and the unit; a dash for what is not known."""
    return "–" if value is None else f"{value:,.4g} {unit}".strip()


def gate_rows(evidence: Document) -> list[list[str]]:
    """A row for each gate; the fourth cell is its verdict's word."""
    return [
        [
            gate["name"],
            amount(gate["measured"], gate["unit"]),
            amount(gate["limit"], gate["unit"]),
            gate["verdict"],
            gate["reason"],
        ]
        for gate in evidence["gates"]
    ]


def capacity_sentence(capacity: Document) -> str:
    """Name the rate, or say that none is named, and why."""
    rate = capacity["requests_per_second"]
    named = (
        "No capacity is named"
        if rate is None
        else f"{rate:.0f} requests/s on one {capacity['instance_type']}"
    )
    return f"{named}: {capacity['reason']}."


def ledger_rows(ledger: Document) -> list[list[str]]:
    """A row for each phase of scaling; a model's settings are not passed off as AWS's time."""
    return [
        [
            row["phase"],
            _seconds(row),
            amount(row["aws_seconds"]),
            row["kind"],
            row["source"],
        ]
        for row in ledger["rows"]
    ]


def _seconds(row: Document) -> str:
    if row["seconds"] is None:
        return "–" if row["kind"] == "not observable" else "not seen"
    return f"{row['seconds']:.1f}"


def regression_sentence(regression: Document) -> str:
    """Say what was compared and what came of it."""
    return (
        f"Compared with {regression['baseline']} in {regression['environment']}, both at "
        f"{regression['requests_per_second']:.3g} requests/s: {regression['verdict']}, {regression['reason']}. "
        f"Failed: {regression['candidate_failures']}, the other {regression['baseline_failures']}."
    )


def regression_rows(regression: Document) -> list[list[str]]:
    """A row for each percentile: how much slower the candidate was, in percent, with bounds."""
    return [
        [
            each["metric"].removesuffix("_ms"),
            *(amount(each[bound], "%") for bound in ("percent", "at_least", "at_most")),
            str(each["slices"]),
        ]
        for each in regression["differences"]
    ]


def cost_rows(cost: Document) -> list[list[str]]:
    """What one instance serves in an hour at the promise, and what a million answers cost then."""
    price = f"{cost['hourly']:g} {cost['currency']}"
    return [
        ["requests per instance-hour", f"{cost['requests_per_instance_hour']:,.0f}"],
        ["price per million predictions", f"{cost['per_million']:.4g} {cost['currency']}"],
        [
            f"price of one {cost['instance_type']} per hour in {cost['prices_region']}, {cost['prices_as_of']}",
            price,
        ],
    ]


def cost_sentence(cost: Document) -> str:
    """Say what the figures rest on."""
    said = "One request is one prediction here; an instance is paid for whether it serves or waits."
    if cost["is_measured_on_aws"]:
        return said
    return (
        f"{said} Not AWS's cost: the capacity is that of this machine's model of a {cost['instance_type']}."
    )
