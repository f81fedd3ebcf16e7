"""A page of HTML as a PNG, by a headless Chromium."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def picture(html: str, width: int, height: int, out: str) -> None:
    program = next(filter(None, map(shutil.which, PROGRAMS)), None) or sys.exit(f"none of {', '.join(PROGRAMS)} is on the PATH")
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "page.html"
        page.write_text(f"<!doctype html><meta charset=utf-8>{html}")
        command = [program, "--headless", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking",
                   "--disable-component-update", "--disable-sync", f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
                   f"--screenshot={Path(out).absolute()}", page.as_uri()]
        if os.geteuid() == 0:
            command.insert(2, "--no-sandbox")
        subprocess.run(command, check=True, capture_output=True, timeout=120)
    print(out)
