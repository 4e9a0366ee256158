"""GPUs are found in what the container was given, and each gets a model process of its own."""

from pathlib import Path

import pytest

from serving.platform.cpus import Plan, plan
from serving.platform.devices import device_of_worker, visible_devices


def machine(root: Path, *, nodes: int = 0, proc: int = 0) -> Path:
    """Make a tree as NVIDIA's runtime does: devices, and control nodes, which are none."""
    (root / "dev").mkdir(parents=True)
    for name in ("null", "nvidiactl", "nvidia-uvm", *(f"nvidia{number}" for number in range(nodes))):
        (root / "dev" / name).touch()
    for number in range(proc):
        (root / "proc/driver/nvidia/gpus" / f"0000:00:{number:02x}.0").mkdir(parents=True)
    return root


def test_without_a_driver_there_is_none(tmp_path: Path) -> None:
    assert visible_devices({}, tmp_path) == ()
    assert visible_devices({}, machine(tmp_path / "with-control-nodes")) == ()
    assert visible_devices({"CUDA_VISIBLE_DEVICES": "0"}, tmp_path) == ()


def test_devices_are_counted_where_they_are_mounted_or_else_listed(tmp_path: Path) -> None:
    assert visible_devices({}, machine(tmp_path / "nodes", nodes=4)) == ("0", "1", "2", "3")
    assert visible_devices({}, machine(tmp_path / "listed", proc=2)) == ("0", "1")


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("1,3", ("1", "3")),
        ("", ()),
        ("-1", ()),
        ("2, 0", ("2", "0")),
        ("0,9,1", ("0",)),
        ("GPU-8932f937,MIG-5", ("GPU-8932f937", "MIG-5")),
    ],
)
def test_cuda_visible_devices_narrows_them_as_cuda_reads_it(
    tmp_path: Path, visible: str, expected: tuple[str, ...]
) -> None:
    assert visible_devices({"CUDA_VISIBLE_DEVICES": visible}, machine(tmp_path / "m", nodes=4)) == expected


@pytest.mark.parametrize(
    ("cpus", "gpus", "environ", "workers", "threads"),
    [
        (8, 1, {}, 1, 8),
        (48, 4, {}, 4, 12),
        (4, 8, {}, 8, 1),
        (8, 4, {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}, 2, 4),
        (8, 0, {}, 8, 1),
    ],
)
def test_there_is_one_process_for_each_device_unless_the_environment_says_otherwise(
    cpus: int, gpus: int, environ: dict[str, str], workers: int, threads: int
) -> None:
    devices = tuple(str(number) for number in range(gpus))

    assert plan(cpus, environ, devices) == Plan(cpus, workers, threads, devices)


def test_each_worker_has_its_own_device_and_its_successor_has_the_same() -> None:
    assert [device_of_worker(index, ("GPU-a", "GPU-b")) for index in range(4)] == [
        "GPU-a",
        "GPU-b",
        "GPU-a",
        "GPU-b",
    ]
    assert device_of_worker(0, ()) is None


def test_a_plan_names_its_gpus() -> None:
    assert str(plan(8, {}, ("0", "1"))) == "2 workers × 4 engine threads on 8 CPUs and 2 GPUs"
