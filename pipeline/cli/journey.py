"""The result of `release`, the command that runs all others in order."""

from pipeline.model import Model


class JourneyResult(Model):
    """The environments that a release went through, and the number of write calls on the way."""

    release: str
    environments: tuple[str, ...]
    calls: int
