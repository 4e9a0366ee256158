"""Pure parts of instances: types, utilisation, quotas, control groups by text, the choice of a kind."""

from pathlib import Path

import pytest

from local_aws.errors import AwsError
from local_aws.instances import instance_type
from local_aws.instances.availability import UnavailableError, decide
from local_aws.instances.cgroup import Cgroup, candidates, quota_microseconds
from local_aws.instances.engine import other_names
from local_aws.instances.throttle import pause_seconds, settle
from local_aws.instances.usage import Sample, utilisation


@pytest.mark.parametrize(
    ("name", "vcpus", "gib"),
    [
        ("ml.t2.medium", 2, 4),
        ("ml.c4.8xlarge", 36, 60),
        ("ml.m4.10xlarge", 40, 160),
        ("ml.m5.large", 2, 8),
        ("ml.c5.18xlarge", 72, 144),
        ("ml.c6i.32xlarge", 128, 256),
        ("ml.m7i.48xlarge", 192, 768),
        ("ml.r8g.medium", 1, 8),
    ],
)
def test_the_figures_of_a_type_are_those_of_aws(name: str, vcpus: int, gib: int) -> None:
    found = instance_type(name)

    assert (found.vcpus, found.memory_bytes) == (vcpus, gib * 2**30)


@pytest.mark.parametrize(
    "name", ["ml.g5.xlarge", "ml.p5.48xlarge", "ml.inf2.xlarge", "m5.large", "ml.m5.huge"]
)
def test_a_type_without_figures_is_an_error_that_names_the_table(name: str) -> None:
    with pytest.raises(AwsError, match=r"instance_types\.py"):
        instance_type(name)


@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        ("ml.c7g.xlarge", "arm64"),
        ("ml.m8g.large", "arm64"),
        ("ml.r6gd.2xlarge", "arm64"),
        ("ml.c6gn.large", "arm64"),
        ("ml.m5.large", "amd64"),
        ("ml.c6in.xlarge", "amd64"),
        ("ml.t2.medium", "amd64"),
    ],
)
def test_gravitons_types_run_images_for_arm64(name: str, architecture: str) -> None:
    assert instance_type(name).architecture == architecture


def test_hundred_percent_is_one_vcpu_of_the_instances_own_share() -> None:
    """0.05 of a CPU stands for a vCPU: 0.1 CPU seconds in one second are two busy vCPUs."""
    size = instance_type("ml.m5.large")
    stats = utilisation(Sample(10.0, 5.0, 0), Sample(11.0, 5.1, 2 * 2**30), size, cpu_scale=0.05)

    assert stats.cpu_percent == pytest.approx(200.0)
    assert stats.memory_percent == pytest.approx(25.0)


def test_utilisation_stays_within_what_the_type_has() -> None:
    """Before its limit an instance may use more than its share; CloudWatch never shows that."""
    size = instance_type("ml.m5.large")
    stats = utilisation(Sample(0.0, 0.0, 0), Sample(1.0, 2.0, 2**40), size, cpu_scale=0.05)

    assert stats == type(stats)(200.0, 100.0)


def test_no_time_passed_is_no_utilisation() -> None:
    sample = Sample(1.0, 2.0, 0)

    assert utilisation(sample, sample, instance_type("ml.m5.large"), 0.05).cpu_percent == 0.0


@pytest.mark.parametrize(("cpus", "quota"), [(0.1, 2000), (2.0, 40000), (0.001, 1000)])
def test_a_quota_is_the_share_of_20_ms_but_no_less_than_the_kernel_takes(cpus: float, quota: int) -> None:
    assert quota_microseconds(cpus) == quota


def test_control_groups_of_version_1_are_found_from_the_own_one_upwards() -> None:
    mounts = (
        "27 1 254:0 / / rw - ext4 /dev/vda rw\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    )
    found = list(candidates(mounts, "4:memory:/a\n1:cpu,cpuacct:/user/me\n"))

    base = Path("/sys/fs/cgroup/cpu,cpuacct")
    assert found == [Cgroup(base / "user" / "me", 1), Cgroup(base / "user", 1), Cgroup(base, 1)]


def test_control_groups_of_version_2_are_found_from_the_own_one_upwards() -> None:
    mounts = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    found = list(candidates(mounts, "0::/user.slice/app.scope\n"))

    base = Path("/sys/fs/cgroup")
    assert found == [
        Cgroup(base / "user.slice/app.scope", 2),
        Cgroup(base / "user.slice", 2),
        Cgroup(base, 2),
    ]


def test_a_group_of_version_2_is_limited_by_its_own_files(tmp_path: Path) -> None:
    """A plain directory stands in for the kernel's: what is written is what version 2 reads."""
    group = Cgroup(tmp_path / "group", 2)
    group.create()
    at_start = (group.path / "cpu.weight").read_text()
    group.limit(0.1)
    limited = [(group.path / name).read_text() for name in ("cpu.max", "cpu.weight")]
    group.unlimit()

    assert at_start == "1"
    assert limited == ["2000 20000", "100"]
    assert [(group.path / name).read_text() for name in ("cpu.max", "cpu.weight")] == ["max 20000", "1"]


def test_a_throttled_group_pays_back_what_it_used_too_much_and_saves_little() -> None:
    in_debt = settle(savings=0.0, granted=0.002, used=0.010)
    rested = settle(savings=in_debt, granted=5.0, used=0.0)

    assert in_debt == pytest.approx(-0.008)
    assert rested == pytest.approx(0.01)


def test_a_group_in_debt_stands_still_exactly_until_it_has_paid() -> None:
    assert pause_seconds(savings=-0.01, cpus=0.1, used=0.02) == pytest.approx(0.1)


def test_a_working_group_is_looked_at_more_often_than_an_idle_one() -> None:
    assert pause_seconds(0.01, 0.1, used=0.001) < pause_seconds(0.01, 0.1, used=0.0)


def test_auto_takes_containers_where_engine_and_registry_are() -> None:
    assert decide("auto", None, None).kind == "docker"


@pytest.mark.parametrize(
    ("engine", "registry", "reason"),
    [
        ("no engine answers", None, "start a Docker engine"),
        (None, "there is no registry", "install docker-registry"),
    ],
)
def test_auto_falls_back_to_processes_and_says_why_and_what_would_help(
    engine: str | None, registry: str | None, reason: str
) -> None:
    chosen = decide("auto", engine, registry)

    assert chosen.kind == "process"
    assert (engine or registry or "") in chosen.reason
    assert reason in chosen.reason
    assert "\n" not in chosen.reason


def test_containers_demanded_where_there_is_no_engine_are_an_error() -> None:
    with pytest.raises(UnavailableError, match="no engine answers"):
        decide("docker", "no engine answers", None)


def test_processes_asked_for_are_processes_wherever_they_run() -> None:
    assert decide("process", None, None).kind == "process"


@pytest.mark.parametrize(
    ("tags", "digests", "others"),
    [
        ([], ["127.0.0.1:1/digits@sha256:a"], []),
        (None, None, []),
        (["digits:dev"], ["127.0.0.1:1/digits@sha256:a"], ["digits:dev"]),
        ([], ["127.0.0.1:1/digits@sha256:a", "127.0.0.1:2/digits@sha256:a"], ["127.0.0.1:2/digits@sha256:a"]),
    ],
)
def test_the_last_name_of_an_image_is_known_so_that_its_layers_stay(
    tags: list[str], digests: list[str], others: list[str]
) -> None:
    assert other_names("127.0.0.1:1/digits@sha256:a", tags, digests) == others
