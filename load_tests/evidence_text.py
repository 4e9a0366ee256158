"""The rows and sentences of an evidence file, as plain text: report and summary escape it for their own format."""

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

GATE_HEADS = ("gate", "#measured", "#limit", "verdict", "reason")  # # marks a column of numbers
TIMELINE_HEADS = ("phase", "#seconds here", "#AWS seconds", "kind", "source")
REGRESSION_HEADS = ("percentile", "#slower by", "#at least", "#at most", "#slices")
COST_HEADS = ("figure", "#value")


def amount(value: float | None, unit: str = "") -> str:
    """Format four significant digits and the unit; a dash for None."""
    return "–" if value is None else f"{value:,.4g} {unit}".strip()


def payload_notes(loads: Sequence[tuple[str, Document]]) -> list[str]:
    """Return each note about what was sent, once, after the names of its load tests."""
    names: dict[str, list[str]] = {}
    for name, result in loads:
        if note := result.get("note"):
            names.setdefault(note, []).append(name)
    return [f"{', '.join(each)}: {note}." for note, each in names.items()]


def gate_rows(evidence: Document) -> list[list[str]]:
    """Return a row for each gate; the fourth cell is its verdict."""
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
    """State the capacity, or the reason why none was determined."""
    rate = capacity["requests_per_second"]
    named = (
        "No capacity is named"
        if rate is None
        else f"{rate:.0f} requests/s on one {capacity['instance_type']}"
    )
    return f"{named}: {capacity['reason']}."


def timeline_rows(scaling: Document) -> list[list[str]]:
    """Return a row for each phase of scaling; its `kind` separates measured times from settings of the local AWS."""
    return [
        [
            row["phase"],
            _seconds(row),
            amount(row["aws_seconds"]),
            row["kind"],
            row["source"],
        ]
        for row in scaling["rows"]
    ]


def _seconds(row: Document) -> str:
    if row["seconds"] is None:
        return "–" if row["kind"] == "not observable" else "not seen"
    return f"{row['seconds']:.1f}"


def regression_sentence(regression: Document) -> str:
    """State the compared releases, the load and the verdict."""
    return (
        f"Compared with {regression['baseline']} in {regression['environment']}, both at "
        f"{regression['requests_per_second']:.3g} requests/s: {regression['verdict']}, {regression['reason']}. "
        f"Failed: {regression['candidate_failures']}, the other {regression['baseline_failures']}."
    )


def regression_rows(regression: Document) -> list[list[str]]:
    """Return a row for each percentile: the candidate's slowdown in percent, with confidence bounds."""
    return [
        [
            each["metric"].removesuffix("_ms"),
            *(amount(each[bound], "%") for bound in ("percent", "at_least", "at_most")),
            str(each["slices"]),
        ]
        for each in regression["differences"]
    ]


def cost_rows(cost: Document) -> list[list[str]]:
    """Return the requests per instance-hour at the SLO, and the price of a million predictions."""
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
    """State the assumptions behind the cost figures."""
    basis = "One request is one prediction here; an instance is paid for whether it serves or waits."
    if cost["is_measured_on_aws"]:
        return basis
    return (
        f"{basis} Not AWS's cost: the capacity is that of this machine's model of a {cost['instance_type']}."
    )
