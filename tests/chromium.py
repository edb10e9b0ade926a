"""Chromium for the browser tests: locate it; run as a script, install it if allowed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def find() -> str | None:
    """Path of a Chromium or Chrome on this machine."""
    found = (shutil.which(name) for name in (*NAMES, MAC))
    return next((path for path in found if path), None)


def main() -> int:
    """Exit 0 if there is a browser, after installing Debian's where root may."""
    if find():
        return 0
    if hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        quiet = {"env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, "check": False}
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], **quiet)
        if find():
            return 0
    print("The browser tests need Chromium or Chrome: install one (Debian: apt install chromium).")
    return 1


if __name__ == "__main__":
    sys.exit(main())
