"""Choose the engine that serves, by ENGINE, ENGINE_PRECISION and the archive's engines.json."""

from collections.abc import Mapping

from serving.engines import FP32, PRECISIONS, TORCH, Choice
from serving.engines.record import FILE, Record

ENGINE_VARIABLE = "ENGINE"
PRECISION_VARIABLE = "ENGINE_PRECISION"
AUTO = "auto"
_EXPORT = "export the model: python -m serving.engines export MODEL_DIRECTORY"


class BadChoice(ValueError):
    """An engine or precision that cannot be used; the text says why and names the alternatives."""


def choose(environ: Mapping[str, str], record: Record | None) -> Choice:
    """Choose the engine. Raises BadChoice.

    ENGINE=auto, the default, takes the engine that was recorded when the model was exported, so that all
    instances of a release use the same one. Without a record that is PyTorch.
    """
    engine = environ.get(ENGINE_VARIABLE) or AUTO
    if engine not in (AUTO, *PRECISIONS):
        known = ", ".join((AUTO, *sorted(PRECISIONS)))
        raise BadChoice(f"{ENGINE_VARIABLE}: expected one of {known}, got {engine!r}")
    exported = record.precision if record and engine != TORCH else FP32
    precision = environ.get(PRECISION_VARIABLE) or exported
    if engine != AUTO:
        return _allowed(Choice(engine, precision), record, environ)
    if record is None:
        return _allowed(Choice(TORCH, precision), record, environ)
    if precision not in record.auto:
        known = ", ".join(sorted(record.auto))
        raise BadChoice(f"{PRECISION_VARIABLE}: expected one of {known}, as in {FILE}, got {precision!r}")
    return _allowed(record.auto[precision], record, environ)


def _allowed(choice: Choice, record: Record | None, environ: Mapping[str, str]) -> Choice:
    """Return `choice` if it keeps the record's limits."""
    asked = f"{ENGINE_VARIABLE}={environ.get(ENGINE_VARIABLE) or AUTO}"
    if choice == Choice(TORCH, FP32):
        return choice
    if choice.precision not in PRECISIONS.get(choice.engine, ()):
        known = ", ".join(PRECISIONS.get(choice.engine, ())) or "nothing"
        raise BadChoice(f"{PRECISION_VARIABLE}: {choice.engine} has {known}, not {choice.precision!r}")
    if record is None:
        raise BadChoice(f"{asked}: there is no {FILE} beside the weights; {_EXPORT}")
    parity = next(
        (one for one in record.engines if (one.engine, one.precision) == (choice.engine, choice.precision)),
        None,
    )
    if parity is None:
        raise BadChoice(f"{asked}: {FILE} has no entry for {choice}; {_EXPORT}")
    if not parity.within:
        limit = record.limits[choice.precision]
        raise BadChoice(
            f"{asked}: {choice} was {parity.maximum_difference:g} from PyTorch with top-1 agreement "
            f"{parity.top1_agreement:.2%} when exported, outside its limit of {limit.maximum_difference:g} "
            f"and {limit.top1_agreement:.2%}"
        )
    return choice
