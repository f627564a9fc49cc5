"""Makes the README's pictures from the running demo: `python screenshots/make.py`.

Needs `rsvg-convert` and the font Fira Code (Debian: librsvg2-bin, fonts-firacode).
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import qtui.demo  # noqa: E402 -- the checkout's own, found by the path above
from tests.ui.driver import Driver, inspector  # noqa: E402 -- see above

SIZE = (120, 34)


def picture(driver: Driver, name: str) -> None:
    """Writes what is on the screen as a PNG."""
    svg = driver.app.export_screenshot(title="qtui")
    # Blanks at the ends of a text would be folded away.
    svg = svg.replace("<text ", '<text xml:space="preserve" ')
    command = ["rsvg-convert", "--zoom", "1.4", "--output", str(HERE / f"{name}.png")]
    subprocess.run(command, input=svg.encode(), check=True)


async def make(url: str) -> None:
    """Walks through an incident and takes pictures on the way."""
    async with inspector(url, size=SIZE) as driver:
        await driver.sees("failed 5")
        await driver.press("j", "j")
        picture(driver, "inspector")
        await driver.press("g", "v", *["j"] * 11, "v", "r")
        await driver.sees("y retry")
        picture(driver, "plan")
        await driver.press("y")
        await driver.sees("retried")
        await driver.sees("✔ completed")
        await driver.sees("✗ failed again")
        picture(driver, "results")
        await driver.press("escape", "e")
        await driver.sees("groups · ")
        picture(driver, "errors")
        await driver.press("q")
        await driver.press("escape")
        await driver.press("F")
        await driver.type("name=fulfil")
        await driver.press("enter")
        await driver.sees("orders")
        await driver.press("enter")
        await driver.sees("fulfil")
        await driver.press("f")
        await driver.sees("courier")
        picture(driver, "flow")
    async with inspector(url, size=SIZE, read_only=True) as driver:
        await driver.sees("failed")
        await driver.press("r")
        await driver.sees("dry run; nothing will be written")
        picture(driver, "read-only")


if __name__ == "__main__":
    with qtui.demo.start() as demo:
        asyncio.run(make(demo.url))
