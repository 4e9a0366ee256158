"""`make setup` installs by uv what pip is configured to install, and leaves to pip what uv cannot do."""

import importlib.util
import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / ".ci" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_environment_wins_over_the_section_of_the_command_and_that_over_the_global_one(
    install: ModuleType,
) -> None:
    listed = """:env:.cert='/env.pem'
global.cert='/global.pem'
global.index-url='https://one.example/simple'
install.index-url='https://two.example/simple'
freeze.timeout='1'
"""

    assert install.pip_options(listed) == {"cert": "/env.pem", "index-url": "https://two.example/simple"}


def test_an_option_of_several_lines_is_read_whole(install: ModuleType) -> None:
    assert install.pip_options("global.find-links='/a\\n/b'\n") == {"find-links": "/a\n/b"}


def test_uv_is_told_what_pip_is_told(install: ModuleType) -> None:
    options = {
        "index-url": "https://one.example/simple",
        "extra-index-url": "https://two.example/simple\nfile:///three",
        "find-links": "/wheels /more",
        "constraint": "/constraints.txt",
        "cert": "/bundle.pem",
        "trusted-host": "one.example",
        "default-timeout": "180",
        "disable-pip-version-check": "1",
    }

    assert install.uv_environment(options, {"HOME": "/root", "SSL_CERT_FILE": "/other.pem"}) == {
        "HOME": "/root",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://one.example/simple",
        "UV_INDEX": "https://two.example/simple file:///three",
        "UV_FIND_LINKS": "/wheels,/more",
        "UV_CONSTRAINT": "/constraints.txt",
        "SSL_CERT_FILE": "/bundle.pem",
        "UV_INSECURE_HOST": "one.example",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_what_uv_is_told_itself_wins(install: ModuleType) -> None:
    told = install.uv_environment(
        {"index-url": "https://pip.example"}, {"UV_DEFAULT_INDEX": "https://uv.example"}
    )

    assert told["UV_DEFAULT_INDEX"] == "https://uv.example"


def test_with_an_option_of_pip_that_uv_lacks_pip_installs(install: ModuleType) -> None:
    with pytest.raises(ValueError, match="pip is configured with no-binary, pre"):
        install.uv_environment({"pre": "1", "no-binary": ":all:", "quiet": "1"}, {})


@pytest.mark.parametrize(("age", "is_ready"), [(-10, False), (10, True)])
def test_groups_are_ready_when_the_stamp_is_newer_than_their_pins(
    install: ModuleType, tmp_path: Path, age: int, is_ready: bool
) -> None:
    stamp = tmp_path / "ready"
    assert not install.is_ready(stamp, ["pipeline"])
    stamp.touch()
    pins = [install.TORCH, install.lock_of("setup"), install.lock_of("pipeline")]
    newest = max(path.stat().st_mtime for path in pins)
    os.utime(stamp, (newest + age, newest + age))

    assert install.is_ready(stamp, ["pipeline"]) is is_ready


def test_the_locks_of_parts_that_are_built_alone_lie_in_their_folders(install: ModuleType) -> None:
    assert install.lock_of("container") == ROOT / "container" / "requirements.txt"
    assert install.lock_of("local_aws") == ROOT / "local_aws" / "requirements.txt"
    assert install.lock_of("load") == ROOT / "requirements" / "load.txt"
