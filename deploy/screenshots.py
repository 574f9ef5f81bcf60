"""Takes the README's pictures from a running Spendstream: `python -m deploy.screenshots` beside `spendstream up`.

It signs in like a person, opens each page at the width and in the theme of its picture, waits until its chart is
drawn, and writes docs/images/*.png.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from services.cli.running import find_running
from services.runtime.embedded.home import default_home

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGES: Final = ROOT / "docs" / "images"
_BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_READY_MS: Final = 15_000
# Sharp on a screen with twice the pixels, and still small as a file.
_SCALE: Final = 1.5
_PHONE_BELOW: Final = 720


@dataclass(frozen=True, slots=True)
class Picture:
    """`height` None is the whole page."""

    name: str
    path: str
    width: int = 1_440
    height: int | None = 900
    dark: bool = False


PICTURES: Final = (
    Picture("overview-light", "/?tenant=globex", height=1_000),
    Picture("overview-dark", "/?tenant=globex", height=1_000, dark=True),
    Picture("payroll-light", "/usage/globex?range=7d", height=960),
    Picture("payroll-dark", "/usage/globex?range=7d", height=960, dark=True),
    Picture("overview-phone", "/?tenant=globex", width=390, height=844),
    Picture("payroll-phone", "/usage/globex?range=7d", width=390, height=844, dark=True),
    Picture("features", "/features?tenant=globex", height=640),
    Picture("alerts", "/alerts", height=640),
    Picture("audit", "/audit", height=760),
)


def take(browser: Browser, url: str, key: str, picture: Picture, folder: Path) -> Path:
    """One picture; raises when the page does not come or says it failed."""
    context = browser.new_context(
        viewport={"width": picture.width, "height": picture.height or 900},
        color_scheme="dark" if picture.dark else "light",
        device_scale_factor=_SCALE,
        is_mobile=picture.width < _PHONE_BELOW,
        reduced_motion="reduce",
    )
    try:
        page = context.new_page()
        _sign_in(page, url, key)
        answer = page.goto(url + picture.path)
        if answer is None or not answer.ok:
            raise SystemExit(f"{picture.path} answers {answer.status if answer else 'nothing'}.")
        for chart in page.locator("[data-chart]").all():
            chart.locator("canvas").wait_for(timeout=_READY_MS)
        page.wait_for_function("document.fonts.status === 'loaded'", timeout=_READY_MS)
        target = folder / f"{picture.name}.png"
        page.screenshot(path=target, full_page=picture.height is None)
        return target
    finally:
        context.close()


def _sign_in(page: Page, url: str, key: str) -> None:
    page.goto(f"{url}/sign-in")
    page.fill("#key", key)
    page.click("main button")
    page.wait_for_url(f"{url}/")


def main() -> int:
    """Exit code 1 where no Spendstream runs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="the query service; default: the one `spendstream up` runs")
    parser.add_argument("--key", help="an admin's key; default: the running one's, or SPENDSTREAM_ADMIN_KEY")
    parser.add_argument("--into", type=Path, default=IMAGES, help="where the pictures go (docs/images)")
    asked = parser.parse_args()
    running = find_running(default_home())
    url = asked.url or (running.urls["query"] if running else "")
    key = asked.key or os.environ.get("SPENDSTREAM_ADMIN_KEY") or (running.admin_key if running else "")
    if not url or not key:
        print("No Spendstream is running: start it with `make run`, or name one with --url and --key.", file=sys.stderr)
        return 1
    asked.into.mkdir(parents=True, exist_ok=True)
    chromium = os.environ.get("SPENDSTREAM_CHROMIUM") or next(filter(None, map(shutil.which, _BROWSERS)), None)
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        for picture in PICTURES:
            print(take(browser, url.rstrip("/"), key, picture, asked.into))
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
