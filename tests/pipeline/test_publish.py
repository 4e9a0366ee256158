"""A release is published once: the same content gives the same release, and changes nothing."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.aws import AwsClient
from pipeline.config import Environment
from pipeline.deployment.plan import Observed, config_name, plan_deployment
from pipeline.errors import BuildFailed, ConfigError
from pipeline.publishing.image import (
    BUILT,
    MADE_OF,
    _build,
    build_files,
    publish_image,
    push_unless_there,
    source_hash,
)
from pipeline.publishing.image_target import ImageTarget
from pipeline.publishing.publish import git_commit, plan_registration, publish
from pipeline.publishing.pushed_images import DOCKER_MANIFEST
from pipeline.publishing.supply_chain import Origin, provenance_key, store_sbom
from pipeline.release import Release, load_release
from pipeline.release_store.manifests import fetch_release, release_key
from pipeline.run import Run

ROOT = Path(__file__).parents[2]


Said = Callable[[], list[str]]


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.starts_processes
def test_a_second_publish_returns_the_same_release_and_changes_nothing(
    account: Run, env: Environment, tmp_path: Path
) -> None:
    first = publish(replace(account, build=tmp_path / "first"), engine=False)
    account.aws.made.clear()
    second = publish(replace(account, build=tmp_path / "second"), engine=False)

    assert second == first == load_release(tmp_path / "second" / "release.json")
    assert account.aws.made == []


@pytest.mark.starts_processes
def test_the_first_manifest_of_a_release_stays(
    account: Run, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who built it first, from which commit, is not rewritten by a second run."""
    first = publish(account, engine=False)
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/digits")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    second = publish(account, engine=False)

    assert second.run_url is None
    assert fetch_release(first.id, account.aws) == first


@pytest.mark.starts_processes
def test_a_release_keeps_the_address_of_its_run(
    account: Run, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://github.com")
    monkeypatch.setenv("GITHUB_REPOSITORY", "someone/digits")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")

    release = publish(account, engine=False)

    assert release.run_url == "https://github.com/someone/digits/actions/runs/7"


@pytest.mark.starts_processes
def test_a_release_is_one_version_in_the_model_registry(
    account: Run, env: Environment, tmp_path: Path
) -> None:
    release = publish(account, engine=False)
    publish(account, engine=False)
    listed = list(
        account.aws.pages(
            "sagemaker", "list_model_packages", "ModelPackageSummaryList",
            ModelPackageGroupName=env.aws.model_package_group,
        )
    )  # fmt: skip

    assert [each["ModelPackageDescription"] for each in listed] == [f"release {release.id}"]
    assert listed[0]["ModelApprovalStatus"] == "PendingManualApproval"
    package = account.aws.read(
        "sagemaker", "describe_model_package", ModelPackageName=listed[0]["ModelPackageArn"]
    )
    measured = package["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    assert package["CustomerMetadataProperties"]["commit"] == release.commit
    assert float(package["CustomerMetadataProperties"]["accuracy"]) > 0.9
    assert account.aws.get_json(measured.split("/", 3)[3]) == release.weights.metrics


def test_two_publishes_at_once_register_one_package(release: Release, env: Environment) -> None:
    """AWS takes a request whose token it knows for the one that it has answered."""
    assert plan_registration(release, env).params["ClientToken"] == release.id


@pytest.mark.starts_processes
def test_a_change_of_config_alone_publishes_nothing_and_still_deploys(
    account: Run, make_env: Callable[..., Environment], tmp_path: Path
) -> None:
    first = publish(account.in_environment(make_env()), engine=False)
    account.aws.made.clear()
    larger = make_env(endpoint={"instance_type": "ml.m5.xlarge"})
    second = publish(account.in_environment(larger), engine=False)
    live = Observed("InService", config_name(first, make_env()), has_model=True)
    shift = plan_deployment(second, larger, live).shift

    assert (second, account.aws.made) == (first, [])
    assert shift is not None
    assert shift.operation == "update_endpoint"


@pytest.mark.starts_processes
def test_other_packages_make_another_image(
    account: Run, make_env: Callable[..., Environment], tmp_path: Path
) -> None:
    plain = publish(account, engine=False)
    (tmp_path / "packages.txt").write_text("pillow==13.0.0\n")
    run = replace(account, env=make_env(packages=str(tmp_path / "packages.txt")))

    release = publish(run, engine=False)

    assert release.image.digest != plain.image.digest
    assert publish(run, engine=False) == release


@pytest.mark.starts_processes
def test_packages_that_are_not_there_are_named(
    account: Run, make_env: Callable[..., Environment], tmp_path: Path
) -> None:
    run = replace(account, env=make_env(packages=str(tmp_path / "nowhere.txt")))

    with pytest.raises(ConfigError, match=r"The packages .*nowhere\.txt cannot be read"):
        publish(run, engine=False)


@pytest.mark.starts_processes
def test_without_an_engine_the_release_says_that_its_digest_is_a_stand_in(
    account: Run, env: Environment, tmp_path: Path
) -> None:
    release = publish(account, engine=False)

    assert release.image.is_source_hash
    assert release.image.digest == f"sha256:{source_hash()}"
    assert json.loads((tmp_path / "release.json").read_text())["image"]["stand_in"] is True


def test_an_image_whose_tag_is_in_ecr_is_not_built_again(account: Run, env: Environment, said: Said) -> None:
    """Not even an engine is needed then: the digest is read back."""
    put_image(account, env, source_hash()[:40])
    image = publish_image(account, Origin("c" * 40), engine=True, sbom=True)

    assert not image.is_source_hash
    assert image.uri.endswith(f"/digits@{image.digest}")
    assert said() == [f"image {source_hash()[:12]} is in ECR already: nothing built"]
    assert account.aws.made == [f"store the provenance of {source_hash()[:12]}"]
    account.aws.made.clear()
    again = publish_image(account, Origin("d" * 40), engine=True, sbom=True)
    assert (again, account.aws.made) == (image, [])
    assert image.sbom is None, "nobody has listed what it is made of"


def test_where_an_image_comes_from_is_kept_outside_the_registry(account: Run, env: Environment) -> None:
    """An index with attestations is an image that SageMaker refuses."""
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json"}
    account.aws.read(
        "ecr", "put_image", repositoryName=env.aws.repository, imageTag=source_hash()[:40],
        imageManifest=json.dumps(manifest),
    )  # fmt: skip
    origin = Origin("c" * 40, dirty=True, run_url="https://github.com/someone/digits/actions/runs/7")
    image = publish_image(account, origin, engine=True, sbom=True)
    kept = account.aws.get_json(provenance_key(image.tag))
    assert kept is not None
    built = kept["predicate"]["buildDefinition"]

    assert image.provenance == f"s3://{env.aws.bucket}/{provenance_key(image.tag)}"
    assert kept["subject"][0]["digest"] == {"sha256": image.digest.removeprefix("sha256:")}
    assert [each["digest"] for each in built["resolvedDependencies"]] == [
        {"sha256": source_hash()},
        {"gitCommit": "c" * 40},
    ]
    assert built["externalParameters"] == {"uncommittedEdits": True}
    assert kept["predicate"]["runDetails"]["builder"]["id"] == origin.run_url


@pytest.mark.starts_processes
def test_a_list_of_packages_that_cannot_be_made_stops_the_publish(
    account: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The error names the flag that leaves it out."""
    broken = tmp_path / "syft"
    broken.write_text("#!/bin/sh\necho no such image >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))

    with pytest.raises(BuildFailed, match=r"no such image[\s\S]*--no-sbom"):
        store_sbom("digits:none", "a" * 40, account.aws)
    assert account.aws.made == []


def put_image(
    account: Run, env: Environment, tag: str, content: str = "", kind: str = DOCKER_MANIFEST
) -> None:
    manifest = {"schemaVersion": 2, "mediaType": kind}
    manifest |= {"content": content} if content else {}
    account.aws.read(
        "ecr", "put_image", repositoryName=env.aws.repository, imageTag=tag,
        imageManifest=json.dumps(manifest),
    )  # fmt: skip


@pytest.mark.parametrize("is_there", [True, False], ids=["pushed by another run", "not pushed at all"])
def test_a_push_that_is_refused_is_no_failure_if_the_tag_is_there_by_now(
    account: Run, env: Environment, monkeypatch: pytest.MonkeyPatch, is_there: bool, said: Said
) -> None:
    def refused(reference: str, aws: AwsClient) -> None:
        if is_there:
            put_image(account, env, "a" * 40)
        raise BuildFailed("tag invalid", fix="none")

    monkeypatch.setattr("pipeline.publishing.image._push", refused)
    if is_there:
        assert not push_unless_there("r:t", "a" * 40, account.aws)
        assert said() == [f"image {'a' * 12} was pushed by another run meanwhile: that one is taken"]
    else:
        with pytest.raises(BuildFailed, match="tag invalid"):
            push_unless_there("r:t", "a" * 40, account.aws)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, account: Run, env: Environment) -> list[bool]:
    """Build and push without an engine; list for each build if it takes no layer of an earlier one."""
    builds: list[bool] = []

    def push(reference: str, aws: AwsClient) -> None:
        put_image(account, env, reference.rpartition(":")[2], content=str(len(builds)))

    monkeypatch.setattr("pipeline.publishing.image._build", lambda *_, fresh: builds.append(fresh))
    monkeypatch.setattr("pipeline.publishing.image._push", push)
    return builds


def test_a_rebuild_is_the_image_of_these_sources_from_then_on(account: Run, built: list[bool]) -> None:
    """A later push of a change of config must not bring the image without the fixes back."""
    first = publish_image(account, Origin(), engine=True, sbom=False)
    second = publish_image(account, Origin(), engine=True, sbom=False, rebuild=True)
    third = publish_image(account, Origin(), engine=True, sbom=False)

    assert built == [False, True]
    assert first.tag == source_hash()[:40]
    assert re.fullmatch(rf"{first.tag}-\d{{14}}", second.tag)
    assert second.digest != first.digest
    assert third == second
    assert [call for call in account.aws.made if call.startswith(BUILT)] == [
        f"{BUILT} {image.uri.partition('@')[0]}:{image.tag}" for image in (first, second)
    ]


def test_a_rebuild_without_a_difference_is_the_image_before(
    account: Run, built: list[bool], monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    first = publish_image(account, Origin(), engine=True, sbom=False)
    monkeypatch.setattr("pipeline.publishing.image._build", lambda *_, **__: None)
    second = publish_image(account, Origin(), engine=True, sbom=False, rebuild=True)

    assert second.digest == first.digest
    assert said()[-1] == f"the rebuild equals the image of {first.tag}: no fix has come out since"
    assert built == [False]


@pytest.mark.starts_processes
def test_a_commit_that_does_not_change_the_container_makes_the_same_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The image is labelled with the last commit that changed it, not with the newest one."""

    def commit(path: str) -> str:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text("x")
        author = ["-c", "user.name=dev", "-c", "user.email=dev@example.com"]
        for words in (["init", "-q"], ["add", "."], [*author, "commit", "-qm", "A change"]):
            subprocess.run(["git", *words], cwd=tmp_path, check=True)
        return str(git_commit(tmp_path)[0])

    started: list[list[str]] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pipeline.publishing.image._run", lambda words, *_: started.append(words))
    monkeypatch.setattr("pipeline.publishing.image._architecture", lambda _: "arm64")
    changed, newest = commit("container/Dockerfile"), commit("README.md")
    arm, packages = ImageTarget("arm64"), ["--packages", "packages.txt"]
    _build("r:t", Origin(newest), None, arm, fresh=False)
    _build("r:t", Origin(), "packages.txt", ImageTarget("arm64", "cuda"), fresh=False)

    assert started == [
        ["container/build", "--tag", "r:t", "--platform", "linux/arm64", "--revision", changed],
        ["container/build", "--tag", "r:t", "--platform", "linux/arm64", "--variant", "cuda", *packages],
    ]
    with pytest.raises(
        BuildFailed, match="r:t is built for arm64; the instance type of the config runs amd64"
    ):
        _build("r:t", Origin(), None, ImageTarget("amd64"), fresh=False)


def test_each_target_has_a_hash_of_its_own(tmp_path: Path) -> None:
    top = copy_of_sources(tmp_path)
    targets = [ImageTarget(*each) for each in (("amd64", "cpu"), ("arm64", "cpu"), ("amd64", "cuda"))]

    assert len({source_hash(top, None, each) for each in targets}) == 3
    assert source_hash(top, None, targets[0]) == source_hash(top)


def test_an_image_is_built_for_the_instance_type_of_the_config(
    make_env: Callable[..., Environment], account: Run, built: list[bool]
) -> None:
    arm = replace(account, env=make_env(endpoint={"instance_type": "ml.c7g.large"}))
    first = publish_image(account, Origin(), engine=True, sbom=False)
    second = publish_image(arm, Origin(), engine=True, sbom=False)

    assert (first.architecture, second.architecture) == ("amd64", "arm64")
    assert first.tag != second.tag


def test_an_image_that_sagemaker_does_not_take_stops_the_publish_and_is_built_anew(
    account: Run, env: Environment, monkeypatch: pytest.MonkeyPatch, built: list[bool]
) -> None:
    """Its tag is immutable: the next image has one of its own."""
    oci = "application/vnd.oci.image.manifest.v1+json"
    docker_push = "pipeline.publishing.image._push"
    with monkeypatch.context() as containerd_store:
        containerd_store.setattr(
            docker_push, lambda reference, _: put_image(account, env, reference.rpartition(":")[2], kind=oci)
        )
        with pytest.raises(
            BuildFailed, match=re.escape(f"was pushed as {oci}, which SageMaker does not take")
        ):
            publish_image(account, Origin(), engine=True, sbom=False)

    image = publish_image(account, Origin(), engine=True, sbom=False)
    assert re.fullmatch(rf"{source_hash()[:40]}-\d{{14}}", image.tag)
    assert len(built) == 2


@pytest.mark.starts_processes
def test_publishing_before_bootstrap_names_the_command(moto: str, env: Environment, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pipeline bootstrap --env staging"):
        publish(Run.for_environment(env, tmp_path), engine=False)


def copy_of_sources(top: Path) -> Path:
    """Copy what the image is made of into a repository at `top`, and return it."""
    ignored = shutil.ignore_patterns("model", "data", "__pycache__")
    for folder in MADE_OF:
        shutil.copytree(ROOT / folder, top / folder, ignore=ignored, symlinks=True)
    return top


def test_every_file_of_the_build_is_in_the_hash(tmp_path: Path) -> None:
    top = copy_of_sources(tmp_path)
    before = source_hash(top)
    for path in build_files(top):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")

        assert source_hash(top) != before, path
        path.write_bytes(content)
    assert source_hash(top) == before


def test_whatever_the_dockerfile_copies_is_in_the_hash() -> None:
    """A file that went into the image unhashed would change it under an old tag."""
    hashed = {path.relative_to(ROOT).as_posix() for path in build_files(ROOT)}
    dockerfile = (ROOT / "container" / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    copies = [
        line.split() for line in dockerfile if line.startswith(("COPY", "ADD")) and "--from" not in line
    ]
    sources = [word for words in copies for word in words[1:-1] if not word.startswith("--")]

    assert sources
    for source in sources:
        matches = [path for path in ROOT.glob(source.rstrip("/")) if "__pycache__" not in path.parts]
        assert matches, f"COPY {source}: nothing there"
        for match in matches:
            name = match.relative_to(ROOT).as_posix()
            assert name in hashed or any(each.startswith(f"{name}/") for each in hashed), name


def test_what_a_file_may_do_is_in_the_hash(tmp_path: Path) -> None:
    top = copy_of_sources(tmp_path)
    before = source_hash(top)
    (top / "container" / "src" / "serve").chmod(0o644)

    assert source_hash(top) != before


def test_retrained_weights_are_no_new_image(tmp_path: Path) -> None:
    top = copy_of_sources(tmp_path)
    before = source_hash(top)
    (top / "container" / "local_test" / "more.json").write_text("{}")

    assert source_hash(top) == before


@pytest.mark.starts_processes
def test_uncommitted_edits_are_seen(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    assert git_commit(Path("/")) == (None, False)
    git("init")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-m", "one")
    commit, dirty = git_commit(tmp_path)
    assert commit is not None
    assert (len(commit), dirty) == (40, False)
    (tmp_path / "file").write_text("two")

    assert git_commit(tmp_path) == (commit, True)
    assert git_commit(tmp_path, made_of=[tmp_path / "file"]) == (commit, True)
    assert git_commit(tmp_path, made_of=[tmp_path / "elsewhere", Path("s3://bucket/key")]) == (commit, False)
    assert git_commit(tmp_path, made_of=[Path("/")]) == (commit, False)


@pytest.mark.starts_processes
def test_an_uncommitted_edit_is_another_release_and_says_so(
    account: Run, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
) -> None:
    """In a repository of its own, so that nobody's edits here decide."""
    top = tmp_path / "top"
    top.mkdir()
    copy_of_sources(top)
    shutil.copytree(ROOT / env.weights, top / env.weights, dirs_exist_ok=True)
    for words in (["init"], ["add", "."], ["commit", "-m", "one"]):
        config = ["-c", "user.name=t", "-c", "user.email=t@t"]
        subprocess.run(["git", *config, *words], cwd=top, check=True, capture_output=True)
    monkeypatch.chdir(top)
    committed = publish(account, engine=False)
    (top / "README.md").write_text("not in the release")
    same = publish(account, engine=False)
    (top / "container" / "src" / "wsgi.py").write_text("# edited")
    edited = publish(account, engine=False)

    assert (committed.dirty, same) == (False, committed)
    assert edited.dirty
    assert edited.id != committed.id
    assert any("uncommitted edits" in sentence for sentence in said())


def test_manifests_are_kept_by_release() -> None:
    assert release_key("a-b") == "releases/a-b/release.json"


@pytest.mark.starts_processes
@pytest.mark.docker
def test_the_list_of_packages_is_made_by_syft_of_the_image_itself(account: Run) -> None:
    """Whoever unpacks the list finds Debian's and Python's packages in it."""
    uri = store_sbom("python:3.11-slim-bookworm", "a" * 40, account.aws)
    listed = account.aws.get_json(uri.split("/", 3)[3])
    assert listed is not None

    assert listed["spdxVersion"].startswith("SPDX-2")
    assert {"libc6", "pip"} <= {package["name"] for package in listed["packages"]}
