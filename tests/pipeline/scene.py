"""An AWS with live endpoints of the contract server, environments of one's own in it, and models as one likes."""

import json
import shlex
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import golden
import local_aws
from pipeline.publishing.publish import publish
from pipeline.release import Release
from pipeline.run import Run

ROOT = Path(__file__).parents[2]
SERVER = Path(__file__).with_name("contract_server.py")
BOUND_SECONDS = 60.0


@contextmanager
def contract_cloud(**settings: Any) -> Iterator[local_aws.Running]:
    """Run an AWS whose instances are contract servers."""
    command = shlex.join([sys.executable, "-S", str(SERVER)])
    with local_aws.start(instances="process", process_command=command, **settings) as running:
        yield running


def name_for(what: str) -> str:
    """Return a name that an endpoint can have, the same one for the same `what`."""
    return f"test-{zlib.crc32(what.encode()):08x}"


def model_of(folder: Path, mark: str, behaviour: str = "status 200", prediction: Any = None) -> Path:
    """Make a model that behaves so; `mark` makes it another one, `prediction` is its golden one."""
    model = folder / mark
    model.mkdir(parents=True, exist_ok=True)
    case = {"instance": [0] * 64} | ({} if prediction is None else {"prediction": prediction})
    (model / "golden.json").write_text(json.dumps({"cases": [case], "tolerance": 0.1}))
    (model / "behaviour").write_text(behaviour)
    (model / "mark").write_text(mark)
    return model


def published(
    run: Run, folder: Path, mark: str, behaviour: str = "status 200", prediction: Any = None
) -> Release:
    """Publish a model that behaves so."""
    model = model_of(folder, mark, behaviour, prediction)
    return publish(run, weights=str(model), engine=False)


def published_answering(
    run: Run, folder: Path, mark: str, cases: Sequence[golden.Case], answer: bytes
) -> Release:
    """Publish a model that gives `answer` to any request of the media type that its golden cases have."""
    case = next(case for case in cases if case.is_answered)
    takes = case.request.content_type
    model = folder / mark
    model.mkdir(parents=True)
    (model / "behaviour").write_text(f"answers {takes} {case.expected.content_type or takes}")
    (model / "answer").write_bytes(answer)
    (model / "mark").write_text(mark)
    golden.write(cases, model / golden.FILE)
    return publish(run, weights=str(model), engine=False)


def wait_for(condition: Callable[[], Any], what: str = "it did not come to that") -> None:
    """Return once the condition holds. Raises AssertionError after a minute."""
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def endpoint_of(run: Run) -> dict[str, Any]:
    """Describe the environment's endpoint, which is there."""
    found = run.aws.describe_endpoint(run.env.endpoint.name)
    assert found is not None
    return found


def scale_to(count: int, run: Run) -> None:
    """Change the size of the live fleet, as autoscaling does."""
    wanted = [{"VariantName": run.env.endpoint.variant, "DesiredInstanceCount": count}]
    name = run.env.endpoint.name
    change = "update_endpoint_weights_and_capacities"
    run.aws.read("sagemaker", change, EndpointName=name, DesiredWeightsAndCapacities=wanted)

    def is_so() -> bool:
        found = endpoint_of(run)
        count_now = found["ProductionVariants"][0]["CurrentInstanceCount"]
        return (found["EndpointStatus"], count_now) == ("InService", count)

    wait_for(is_so, f"{name} never had {count} instances")
