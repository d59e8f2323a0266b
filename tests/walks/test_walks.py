"""The figures of the walks in docs/architecture.md: none has become longer unnoticed."""

import re
import tempfile
from pathlib import Path

from tests.far_end import FarEnd
from tests.walks.__main__ import ROOT, Walks, answered

# What another thread does now and then falls into a walk once; what belongs to it, each time.
RUNS = 4
ROW = re.compile(r"^\| (.+?) \| (\d+) \| \d+ \| \d+ \| \d+ \|$", re.M)


def test_no_walk_meets_more_files_than_the_page_says() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    said = {name: int(files) for name, files in ROW.findall(page)}
    met = files_met()
    assert met.keys() == said.keys()
    for _ in range(RUNS - 1):
        if any(count > said[name] for name, count in met.items()):
            met = {name: min(count, met[name]) for name, count in files_met().items()}
    longer = {name: count for name, count in met.items() if count > said[name]}
    assert not longer, "count again (`python -m tests.walks`), and say why in the commit"


def files_met() -> dict[str, int]:
    """Return how many files each walk meets."""
    with tempfile.TemporaryDirectory() as folder, FarEnd(answered) as far_end:
        return {name: len(walk.files) for name, walk in Walks(Path(folder), far_end.url).all()}
