"""The gates that a person may accept in spite of their verdict, each with a reason that the audit trail keeps."""

from collections.abc import Mapping, Sequence

from pipeline.errors import ConfigError
from pipeline.gates import Gate, Verdict
from pipeline.verification import agreement, quality
from pipeline.verification.evidence import Evidence

ACCEPTABLE = (quality.NAME, agreement.NAME)
EXAMPLE = 'quality="the new labels are harder; approved by the team"'


def parse_accepted(words: Sequence[str]) -> dict[str, str]:
    """Return the reasons by gate of `GATE=REASON` words; empty words are left out. Raises ConfigError."""
    found: dict[str, str] = {}
    for word in filter(None, words):
        gate, _, reason = word.partition("=")
        if gate not in ACCEPTABLE or not reason.strip():
            raise ConfigError(
                f"--accept {word} names no gate of {list(ACCEPTABLE)} with a reason.",
                fix=f"Write it as --accept {EXAMPLE}. Other gates are measured again: python -m pipeline verify --again.",
            )
        found[gate] = reason.strip()
    return found


def not_accepted(evidence: Evidence, accepted: Mapping[str, str]) -> tuple[Gate, ...]:
    """Return the gates that have not PASSED, and that nobody has accepted."""
    open_gates = (*evidence.failed, *evidence.inconclusive)
    return tuple(gate for gate in open_gates if gate.name not in accepted)


def used(evidence: Evidence, accepted: Mapping[str, str]) -> dict[str, str]:
    """Return the reasons of those gates that have not PASSED; the others need none."""
    open_names = {gate.name for gate in evidence.gates if gate.verdict is not Verdict.PASSED}
    return {gate: reason for gate, reason in accepted.items() if gate in open_names}


def how_to_accept(gates: Sequence[Gate], environment: str) -> str:
    """Return the sentence that says how to accept these gates; empty where one of them cannot be accepted."""
    if not gates or any(gate.name not in ACCEPTABLE for gate in gates):
        return ""
    words = " ".join(f'--accept {gate.name}="…"' for gate in gates)
    return (
        " Or take the risk, with a reason that the audit trail keeps: "
        f"`python -m pipeline promote --env {environment} {words}`."
    )
