"""Finds the Chromium that tests and pictures are made with; installs one where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find_browser() -> str | None:
    """A Chromium of SPENDSTREAM_CHROMIUM or of the PATH; None leaves it to Playwright's own."""
    named = os.environ.get("SPENDSTREAM_CHROMIUM")
    if named:
        return named
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def find_or_install_browser(playwright: Playwright) -> str | None:
    """As `find_browser`; where nothing is there Debian's package as root, Playwright's Chromium otherwise."""
    found = find_browser()
    if found or Path(playwright.chromium.executable_path).exists():
        return found
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True, timeout=300)
        return find_browser()
    subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True, timeout=300)
    return None


@contextmanager
def running_browser() -> Iterator[Browser]:
    """A Chromium without a window. Its sandbox needs a user other than root."""
    with sync_playwright() as playwright:
        path = find_or_install_browser(playwright)
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
