"""Where the system keeps its Chromium. Browser builds are never downloaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

CANDIDATES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/snap/bin/chromium",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
MISSING = (
    "BROWSER TESTS DID NOT RUN: no Chromium found. Install it (Debian: apt-get install chromium) "
    "or name one in CHROMIUM_PATH."
)


def find_chromium() -> str | None:
    """Return the path of a Chromium, or None where there is none."""
    named = os.environ.get("CHROMIUM_PATH")
    for candidate in (named,) if named else CANDIDATES:
        found = shutil.which(candidate)
        if found and Path(found).exists():
            return found
    return None


def launch_arguments() -> list[str]:
    """Return the flags: no sandbox for root, who cannot have one; no GPU, no small /dev/shm of containers."""
    flags = ["--disable-gpu", "--disable-dev-shm-usage", "--force-color-profile=srgb"]
    return [*flags, "--no-sandbox"] if os.geteuid() == 0 else flags
