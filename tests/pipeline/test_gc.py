"""gc deletes unreferenced resources, and never what serves or can be rolled back to."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.account.collect import collect, observe_in_use
from pipeline.account.garbage import InUse, Inventory, Rule, kept_releases, plan_collection
from pipeline.aws import AwsClient, Call
from pipeline.aws.validation import problem_of
from pipeline.config import Environment
from pipeline.deployment.alarms import plan_alarms
from pipeline.deployment.observe import observe
from pipeline.deployment.plan import config_name, plan_deployment
from pipeline.errors import ConfigError, EnvironmentLocked, ReleaseError
from pipeline.release import GoldenRecord, Image, Release, Weights, make_release
from pipeline.release_store.manifests import added_golden_key, release_key
from pipeline.run import Run
from pipeline.state.lock import lock_key
from pipeline.state.lock_info import this_process
from pipeline.state.records import DeploymentRecord, record_deployment
from tests.pipeline.clocks import FakeClock

MakeRelease = Callable[[str], Release]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=100)


def later(run: Run) -> Run:
    """Return the run an hour from now: what a test has just made is older than 0 days, and younger than one."""
    return replace(run, aws=replace(run.aws, clock=FakeClock(time.time() + 3600)))


def published_image(release: Release, run: Run) -> Image:
    """Push an image with the release's tag; its digest is its own."""
    media_type = "application/vnd.oci.image.manifest.v1+json"
    layers = [{"digest": release.image.tag}]  # without layers moto takes one of 101 digests, by chance
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"digest": release.image.tag},
        "layers": layers,
    }
    put = run.aws.read(
        "ecr", "put_image", repositoryName=run.env.aws.repository,
        imageManifest=json.dumps(manifest), imageTag=release.image.tag,
    )  # fmt: skip
    digest = put["image"]["imageId"]["imageDigest"]
    return release.image.model_copy(update={"digest": digest, "uri": f"digits@{digest}"})


@pytest.fixture
def published(account: Run, make_test_release: MakeRelease) -> dict[str, Release]:
    """Releases a to d: images, weights and manifests are there, as `publish` leaves them."""
    made = {}
    for letter in "abcd":
        first = make_test_release(letter)
        image = published_image(first, account)
        release = make_release(image, first.weights, commit=None, dirty=False, run_url=None)
        key = release.weights.uri.split("/", 3)[3]
        account.aws.read("s3", "put_object", Bucket=account.env.aws.bucket, Key=key, Body=b"w")
        account.aws.put_json(release_key(release.id), release.document())
        made[letter] = release
    return made


def deployed(release: Release, env: Environment, run: Run, *, serves: bool, at: float = 1.0) -> None:
    """Make model, config and (when it serves) the endpoint of a release, and the record of its deployment."""
    plan = plan_deployment(release, env, observe(release, run))
    for call in plan.calls:
        if serves or call.operation != "create_endpoint":
            run.aws.apply(call)
    record = DeploymentRecord(
        environment=env.name, endpoint=env.endpoint.name, release=release.id,
        config=plan.config, in_service_at=at, run_url=None,
    )  # fmt: skip
    record_deployment(run.aws, record)


def what_is_there(run: Run) -> dict[str, list[str]]:
    images = run.aws.pages("ecr", "describe_images", "imageDetails", repositoryName=run.env.aws.repository)
    return {
        "configs": sorted(
            each["EndpointConfigName"]
            for each in run.aws.pages("sagemaker", "list_endpoint_configs", "EndpointConfigs")
        ),
        "models": sorted(each["ModelName"] for each in run.aws.pages("sagemaker", "list_models", "Models")),
        "images": sorted(each["imageDigest"] for each in images),
        "weights": run.aws.keys("weights/"),
        "manifests": run.aws.keys("releases/"),
        "alarms": sorted(
            {alarm["AlarmName"].split("/")[1] for alarm in run.aws.alarms(prefix="digits-staging/")}
        ),
    }


def test_only_what_serves_and_what_it_can_be_rolled_back_to_is_left(
    account: Run, published: dict[str, Release]
) -> None:
    """A was live long ago, b before c, c is live; d was published and never deployed."""
    env = account.env
    for at, letter in enumerate("abc", 1):
        deployed(published[letter], env, account, serves=letter == "c", at=at)
    for letter in "ab":  # as a run leaves them that was broken off before it tidied up
        for call in plan_alarms(env, config_name(published[letter], env), {}):
            account.aws.apply(call)
    result = collect([env], later(account), releases=2, days=0)
    left = what_is_there(account)
    stays = sorted([published["b"].id, published["c"].id])

    assert result.kept == tuple(stays)
    assert [name[len("digits-staging-") :][:21] for name in left["configs"]] == stays
    assert [name[len("digits-staging-") :][:21] for name in left["models"]] == stays
    assert left["images"] == sorted(published[letter].image.digest for letter in "bc")
    assert left["weights"] == sorted(published[letter].weights.uri.split("/", 3)[3] for letter in "bc")
    assert left["manifests"] == sorted(release_key(release) for release in stays)
    assert left["alarms"] == left["configs"]
    assert collect([env], later(account), releases=2, days=0).deleted == ()


def test_a_dry_run_says_the_same_and_deletes_nothing(account: Run, published: dict[str, Release]) -> None:
    before = what_is_there(account)
    result = collect([account.env], later(account), releases=2, days=0, dry_run=True)

    assert len(result.deleted) == 9  # four weights, four manifests, one call for all images
    assert what_is_there(account) == before


def test_what_is_young_stays(account: Run, published: dict[str, Release]) -> None:
    assert collect([account.env], later(account), releases=2, days=1).deleted == ()


def test_what_an_endpoint_of_somebody_else_serves_stays(account: Run, published: dict[str, Release]) -> None:
    """Made by hand, under names that the pipeline does not know."""
    release = published["d"]
    container = {"Image": release.image.uri, "ModelDataUrl": release.weights.uri}
    role = account.env.aws.execution_role_arn
    account.aws.read(
        "sagemaker", "create_model", ModelName="demo", PrimaryContainer=container, ExecutionRoleArn=role
    )
    variant = {
        "VariantName": "one",
        "ModelName": "demo",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    account.aws.read(
        "sagemaker", "create_endpoint_config", EndpointConfigName="demo", ProductionVariants=[variant]
    )
    account.aws.read("sagemaker", "create_endpoint", EndpointName="demo", EndpointConfigName="demo")
    collect([account.env], later(account), releases=2, days=0)
    left = what_is_there(account)

    assert left["images"] == [release.image.digest]
    assert left["weights"] == [release.weights.uri.split("/", 3)[3]]
    assert left["models"] == ["demo"]


def test_an_endpoint_whose_config_is_gone_stops_everything(
    account: Run, published: dict[str, Release]
) -> None:
    deployed(published["a"], account.env, account, serves=True)
    config = account.aws.describe_endpoint("digits-staging")["EndpointConfigName"]  # type: ignore[index]
    account.aws.read("sagemaker", "delete_endpoint_config", EndpointConfigName=config)

    with pytest.raises(ReleaseError, match=f"serves endpoint config {config}, which is gone"):
        collect([account.env], later(account), releases=2, days=0)
    assert len(what_is_there(account)["weights"]) == 4


def test_while_an_environment_changes_nothing_is_deleted(account: Run, published: dict[str, Release]) -> None:
    info = this_process("staging", "deploy", {}).model_copy(update={"host": "another-machine"})
    account.aws.put_json(lock_key("staging"), info.document())

    with pytest.raises(EnvironmentLocked):
        collect([account.env], later(account), releases=2, days=0)
    assert len(what_is_there(account)["weights"]) == 4


class Interrupted(AwsClient):
    """The client, whose first deletion is followed by somebody who breaks the lock of staging."""

    def apply(self, call: Call) -> dict[str, Any]:
        answer = super().apply(call)
        self.read("s3", "delete_object", Bucket=self.place.bucket, Key=lock_key("staging"))
        return answer


def test_once_a_lock_is_broken_nothing_more_is_deleted(account: Run, published: dict[str, Release]) -> None:
    run = later(account)
    broken = Interrupted(account.env.aws, clock=run.clock)
    with pytest.raises(EnvironmentLocked, match="lost to somebody who has broken it"):
        collect([account.env], replace(run, aws=broken), releases=2, days=0)

    assert len(broken.made) == 1


@pytest.mark.parametrize(("releases", "days"), [(1, 14), (0, 0), (5, -1)])
def test_fewer_than_a_rollback_needs_is_refused(account: Run, releases: int, days: int) -> None:
    with pytest.raises(ConfigError, match="can be rolled back to"):
        collect([account.env], account, releases=releases, days=days)


def test_an_account_without_endpoints_serves_nothing(account: Run) -> None:
    assert observe_in_use(account.aws) == InUse()


def some_release(number: int, created: datetime) -> Release:
    digest, sha = f"sha256:{number:064x}", f"{number:08x}" + 56 * "0"
    digest = f"sha256:{number:012x}" + 52 * "0"
    image = Image(uri=f"digits@{digest}", digest=digest, tag=f"{number:040x}", is_source_hash=False)
    weights = Weights(
        uri=f"s3://digits-releases-123456789012/weights/{sha}/model.tar.gz", sha256=sha, bytes=1
    )
    made = make_release(image, weights, commit=None, dirty=False, run_url=None)
    return made.model_copy(update={"created": created})


@given(
    history=st.lists(st.integers(0, 7), max_size=12),
    serving=st.integers(0, 7),
    keep=st.integers(2, 4),
    young=st.sets(st.integers(0, 7)),
)
def test_whatever_was_deployed_in_whatever_order_what_is_needed_stays(
    env_for_property: Environment, history: list[int], serving: int, keep: int, young: set[int]
) -> None:
    releases = [some_release(n, NOW if n in young else OLD) for n in range(8)]
    names = {release.id: f"digits-staging-{release.id}-00000000" for release in releases}
    live = releases[serving]
    records = [
        DeploymentRecord(
            environment="staging", endpoint="digits-staging", release=releases[n].id,
            config=names[releases[n].id], in_service_at=float(at), run_url=None,
        )
        for at, n in enumerate([*history, serving])
    ]  # fmt: skip
    keys = {release.id: release.weights.uri.split("/", 3)[3] for release in releases}
    stock = Inventory(
        served=InUse(frozenset({names[live.id]}), frozenset({names[live.id]}),
                      frozenset({live.image.uri}), frozenset({live.weights.uri})),
        deployed={"staging": records},
        releases={release.id: release for release in releases},
        configs=dict.fromkeys(names.values(), OLD),
        models=dict.fromkeys(names.values(), OLD),
        images={release.image.digest: OLD for release in releases},
        weights=dict.fromkeys(keys.values(), OLD),
        manifests={release_key(release.id): OLD for release in releases},
    )  # fmt: skip
    rule = Rule.of(keep, 14, NOW)
    calls = plan_collection(env_for_property.aws, stock, rule)
    deleted = json.dumps([dict(call.params) for call in calls])
    last_ones = list(dict.fromkeys(record.release for record in reversed(records)))[:keep]
    needed = {live.id, *last_ones, *(releases[n].id for n in young)}

    assert kept_releases(stock, rule) == needed
    assert [problem_of(call) for call in calls] == [None] * len(calls)
    for release in releases:
        for name in (names[release.id], release.image.digest, keys[release.id], release_key(release.id)):
            assert (name in deleted) is (release.id not in needed)


@pytest.fixture(scope="module")
def env_for_property() -> Environment:
    from tests.pipeline.conftest import environment

    return environment()


def test_golden_sets_stay_with_the_releases_that_are_judged_by_them(
    account: Run, published: dict[str, Release]
) -> None:
    """C is live, b is before it, a is neither; nobody uses the fourth set."""
    env, bucket = account.env, account.env.aws.bucket
    keys = {letter: f"golden/{letter * 64}.jsonl" for letter in "abce"}
    for at, letter in enumerate("abc", 1):
        release = published[letter]
        record = {"sha256": letter * 64, "uri": f"s3://{bucket}/{keys[letter]}", "contract": "c", "cases": 1}
        golden = GoldenRecord.model_validate({**record, "takes": [], "gives": []})
        if letter == "b":  # it was published without one
            account.aws.put_json(release_key(release.id), {**release.document(), "unchecked": True})
            account.aws.put_json(added_golden_key(release.id), golden.document())
        else:
            account.aws.put_json(release_key(release.id), release.with_golden(golden).document())
        deployed(release, env, account, serves=letter == "c", at=at)
    for key in keys.values():
        account.aws.read("s3", "put_object", Bucket=bucket, Key=key, Body=b"g")
    collect([env], later(account), releases=2, days=1)
    assert account.aws.keys("golden/") == sorted(keys.values()), "all of them are young"
    collect([env], later(account), releases=2, days=0)

    assert account.aws.keys("golden/") == [keys["b"], keys["c"]]
    assert account.aws.get_json(added_golden_key(published["b"].id)) is not None
