"""Take pictures of the HTML report in headless Chromium, for the docs.

Needs `chromium` on the path and the package installed, so that the report states its version. Wide
and narrow, with no, few and many failures; and one for the README.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from spec_kitty_sync.conformance.isolated import run_isolated
from spec_kitty_sync.conformance.reference import TOKENS, reference_receiver

_PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
_FAULTS: dict[str, tuple[str, ...]] = {
    "readme": ("conflict-is-success",),
    "none": (),
    "few": ("conflict-is-success", "takes-naive-timestamp"),
    "many": (
        "errors-as-html",
        "takes-any-lane",
        "takes-unicode-digits",
        "refuses-extra-fields",
        "wrong-method-is-500",
    ),
}
_README = "readme"
_SIZES = {"wide": "1280,1500", "narrow": "420,1500"}


def main() -> None:
    """Run the suite four times and take seven pictures."""
    browser = shutil.which("chromium") or sys.exit("chromium is not installed")
    _PICTURES.mkdir(parents=True, exist_ok=True)
    for name, faults in _FAULTS.items():
        with tempfile.TemporaryDirectory() as folder:
            with reference_receiver(*faults) as url:
                options: dict[str, str | bool | None] = {"report": folder, "seed": "picture"}
                run_isolated(url, token=TOKENS.own, options=options)
            page = Path(folder) / "report.html"
            for width, size in _SIZES.items():
                if name != _README:
                    _take(browser, page, f"report-{name}-{width}.png", size)
                elif width == "wide":
                    _take(browser, page, f"report-{name}.png", "1000,720")


def _take(browser: str, page: Path, name: str, size: str) -> None:
    target = _PICTURES / name
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--window-size={size}", f"--screenshot={target}", page.as_uri()]
    subprocess.run(command, check=True, capture_output=True, env=os.environ.copy())


if __name__ == "__main__":
    main()
