"""Random sequences of create, update, scale, fault, invoke and delete; what must hold is checked after each step.

One seed in `make test`, all of them in `make prove`. The AWS and its instances are real processes, so examples
are few, and not shrunk: the steps are printed.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

import local_aws
from local_aws.testing import wait_until
from testbed.deployment_configs import blue_green, rolling
from testbed.serving import SETTINGS, Serving

pytestmark = pytest.mark.starts_processes

MOST = 3
GONE = "gone"
BEGINS = {
    "create": {(GONE, "Creating")},
    "update": {("InService", "Updating"), ("UpdateRollbackFailed", "Updating")},
    "scale": {("InService", "Updating")},
    "delete": {(s, "Deleting") for s in ("InService", "Failed", "UpdateRollbackFailed")},
}
ENDS = {
    "Creating": {"InService", "Failed"},
    "Updating": {"InService", "UpdateRollbackFailed"},
    "Deleting": {GONE},
}
MAPPED = {"ModelError", "ServiceUnavailable", "ValidationError"}
DEPLOYMENTS: list[dict[str, Any] | None] = [
    None,
    blue_green("CANARY", wait=600),
    blue_green("LINEAR", wait=300, termination=300),
    rolling(wait=300),
]
FAULTS = [
    {"kind": "unhealthy", "fleet": "new"},
    {"kind": "no-capacity", "fleet": "old"},
    {"kind": "no-capacity"},
    {"kind": "crash"},
    {"kind": "errors", "amount": 50},
    {"kind": "hang", "times": 1},
]


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_aws.Running]:
    root = tmp_path_factory.mktemp("random")
    quick = {"time_scale": 1000, "startup_timeout_seconds": 2, "invocation_timeout_seconds": 0.5}
    with local_aws.start(**{**SETTINGS, **quick}, state_dir=root, cache_dir=root) as running:
        yield running


class Endpoint(RuleBasedStateMachine):
    """One endpoint, and what is known of it. Set `aws` before use."""

    aws: local_aws.Running

    def __init__(self) -> None:
        super().__init__()
        self.serving = Serving(self.aws)
        self.name, self.status = "", GONE
        self.faults = ExitStack()
        self.faulty = False

    def begin(self, operation: str, call: Any, **request: Any) -> None:
        """Make a call: it is accepted where the reference allows it, refused elsewhere."""
        before = self.observe()
        error = _error(call, EndpointName=self.name, **request)
        if error is not None:
            assert error.response["Error"]["Code"] == "ValidationException", error
            began = [now for was, now in BEGINS[operation] if was == before]
            assert not began or "50 %" in str(error), f"{operation} was refused in {before}: {error}"
            return
        starts = {now for was, now in BEGINS[operation] if was in {before, *ENDS.get(before, ())}}
        assert starts, f"{operation} was accepted in {before}"
        (self.status,) = starts
        self.observe()

    def observe(self) -> str:
        """Look at the status; since the last look only an operation can have ended."""
        listed = (
            self.serving.sagemaker.list_endpoints(NameContains=self.name)["Endpoints"] if self.name else []
        )
        now = listed[0]["EndpointStatus"] if listed else GONE
        assert now == self.status or now in ENDS.get(self.status, ()), f"{self.status} became {now}"
        self.status = now
        return str(now)

    @precondition(lambda self: self.status == GONE)
    @rule(instances=st.integers(1, MOST))
    def create(self, instances: int) -> None:
        config = self.serving.config("first", instances)
        self.name = f"{config}-endpoint"
        self.begin("create", self.serving.sagemaker.create_endpoint, EndpointConfigName=config)

    @precondition(lambda self: self.status != GONE)
    @rule(deployment=st.sampled_from(DEPLOYMENTS), instances=st.integers(1, MOST))
    def update(self, deployment: dict[str, Any] | None, instances: int) -> None:
        request = {"DeploymentConfig": deployment} if deployment else {}
        config = self.serving.config("next", instances)
        self.begin("update", self.serving.sagemaker.update_endpoint, EndpointConfigName=config, **request)

    @precondition(lambda self: self.status != GONE)
    @rule(count=st.integers(1, MOST))
    def scale(self, count: int) -> None:
        wanted = [{"VariantName": "AllTraffic", "DesiredInstanceCount": count}]
        call = self.serving.sagemaker.update_endpoint_weights_and_capacities
        self.begin("scale", call, DesiredWeightsAndCapacities=wanted)

    @precondition(lambda self: self.status in {"InService", "Failed", "UpdateRollbackFailed"})
    @rule()
    def delete(self) -> None:
        self.begin("delete", self.serving.sagemaker.delete_endpoint)

    @precondition(lambda self: self.status in ENDS)
    @rule()
    def settle(self) -> None:
        wait_until(lambda: self.observe() not in ENDS, f"{self.name} is settled")

    @precondition(lambda self: self.status not in {GONE, "Deleting"} and not self.faulty)
    @rule(fault=st.sampled_from(FAULTS))
    def suffer(self, fault: dict[str, Any]) -> None:
        self.faults.enter_context(self.aws.fault(endpoint=self.name, **fault))
        self.faulty = True

    @precondition(lambda self: self.faulty)
    @rule()
    def recover(self) -> None:
        self.faults.close()
        self.faulty = False

    @invariant()
    def a_request_is_answered_by_a_release_or_gets_a_mapped_error(self) -> None:
        if not self.name:
            return
        answers = []
        error = _error(lambda: answers.append(self.serving.invoke(self.name)))
        if error is None:
            assert answers[0].release in {"first", "next"}
            return
        code = error.response["Error"]["Code"]
        assert code in MAPPED, error
        served = self.status not in {GONE, "Creating", "Failed", "Deleting"}
        assert code != "ValidationError" or not served or self.observe() == GONE, error
        assert self.faulty or not served or code == "ServiceUnavailable", error

    @invariant()
    def weights_sum_to_one_and_counts_keep_their_bounds(self) -> None:
        self.observe()
        for endpoint in self.aws.status()["endpoints"]:
            if endpoint["name"] != self.name:
                continue
            fleets = endpoint["fleets"]
            if endpoint["status"] in {"InService", "Updating", "UpdateRollbackFailed"}:
                assert sum(fleet["weight"] for fleet in fleets) == pytest.approx(1)
            for fleet in fleets:
                assert fleet["current"] <= len(fleet["instances"]) <= MOST
                assert 0 <= fleet["desired"] <= MOST
            assert len(fleets) <= 1 or endpoint["status"] not in {"InService", "Failed"}

    def teardown(self) -> None:
        """At the end all is deleted, and no process of an instance is left."""
        self.recover()
        if self.status != GONE:
            self.settle() if self.status in ENDS else None
            if self.status != GONE:
                self.delete()
            wait_until(lambda: self.observe() == GONE, f"{self.name} is gone")
        wait_until(lambda: not _instances(self.aws.pid), "every instance has ended")


def _error(call: Callable[..., Any], **request: Any) -> ClientError | None:
    try:
        call(**request)
    except ClientError as error:
        return error
    return None


def _instances(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if child.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.matrix
@pytest.mark.parametrize("number", range(20))
def test_any_sequence_keeps_what_must_hold(aws: local_aws.Running, number: int) -> None:
    machine = seed(number)(type(f"Endpoint{number}", (Endpoint,), {"aws": aws}))

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=3,  # Hypothesis tries the simplest one first
            stateful_step_count=15,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
