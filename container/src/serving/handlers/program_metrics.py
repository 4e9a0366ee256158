"""`context.metrics`: a program's own metrics, each a line of the log, as TorchServe writes them.

Its arguments `idx` and `metric_type` have no effect: a line of the log belongs to one request, and has no type.
"""

import logging
from typing import Any

logger = logging.getLogger("metrics")


class ProgramMetrics:
    """The methods of TorchServe's metrics that add a value; CloudWatch Logs can filter the lines."""

    def add_metric(
        self, name: str, value: float, unit: str, idx: Any = None, dimensions: Any = (), metric_type: Any = None  # noqa: ARG002
    ) -> None:  # fmt: skip
        """Log `name.unit:value|#dimension:value,…`, in TorchServe's form."""
        labels = ",".join(str(dimension) for dimension in dimensions or ())
        logger.info("%s.%s:%s|#%s", name, unit, value, labels)

    def add_counter(self, name: str, value: float, idx: Any = None, dimensions: Any = ()) -> None:
        self.add_metric(name, value, "Count", idx, dimensions)

    def add_time(
        self, name: str, value: float, idx: Any = None, unit: str = "ms", dimensions: Any = (), metric_type: Any = None  # noqa: ARG002
    ) -> None:  # fmt: skip
        self.add_metric(name, value, {"ms": "Milliseconds", "s": "Seconds"}.get(unit, unit), idx, dimensions)

    def add_size(
        self, name: str, value: float, idx: Any = None, unit: str = "MB", dimensions: Any = (), metric_type: Any = None  # noqa: ARG002
    ) -> None:  # fmt: skip
        names = {"MB": "Megabytes", "kB": "Kilobytes", "GB": "Gigabytes", "B": "Bytes"}
        self.add_metric(name, value, names.get(unit, unit), idx, dimensions)

    def add_percent(
        self, name: str, value: float, idx: Any = None, dimensions: Any = (), metric_type: Any = None  # noqa: ARG002
    ) -> None:  # fmt: skip
        self.add_metric(name, value, "Percent", idx, dimensions)

    def add_error(self, name: str, value: float | str, dimensions: Any = ()) -> None:
        logger.info("%s:%s|#%s", name, value, ",".join(map(str, dimensions or ())))
