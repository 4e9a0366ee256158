"""Take the pictures of the Scaling page in docs/images, of a scale-out and a canary that really happen.

python -m tests.load_tests.screenshots        (make screenshots)
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page

from local_aws.testing import wait_until
from tests.load_tests.chromium import chromium
from tests.load_tests.scaling_scene import BOUND_SECONDS, ROOT, scene

IMAGES = ROOT / "docs" / "images"
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
CHANGE_SECONDS = 15  # of load before and after each change, so that it stands in the middle of the plots


def main() -> int:
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder)) as running, chromium() as browser:
        page = browser.new_page(viewport=DESKTOP)
        page.goto(f"{running.url}/scaling")
        running.load(8)
        _seconds(page, CHANGE_SECONDS)
        running.load(25)
        _until_instances(page, 3)
        _seconds(page, CHANGE_SECONDS)
        running.deploy("r2")
        wait_until(lambda: running.status() == "InService", "the deployment's end", BOUND_SECONDS)
        _seconds(page, CHANGE_SECONDS)
        page.screenshot(path=IMAGES / "scaling.png", full_page=True)
        page.set_viewport_size(PHONE)
        _seconds(page, 2)
        page.screenshot(path=IMAGES / "scaling-phone.png")
    for path in sorted(IMAGES.glob("scaling*.png")):
        print(path.relative_to(ROOT), f"{path.stat().st_size // 1024} kB")
    return 0


def _seconds(page: Page, seconds: int) -> None:
    """Wait until the plots have so many more rows; there is one a second."""
    rows = page.evaluate("document.getElementById('rate').data?.[0].y.length ?? 0")
    page.wait_for_function(
        f"document.getElementById('rate').data?.[0].y.length >= {rows + seconds}", timeout=90_000
    )


def _until_instances(page: Page, count: int) -> None:
    page.wait_for_function(
        f"document.getElementById('instances').data?.[0].y.at(-1) >= {count}", timeout=90_000
    )


if __name__ == "__main__":
    sys.exit(main())
