"""The figures of the walks in docs/architecture.md: none has become longer unnoticed."""

import re
import tempfile
from pathlib import Path

from tests.far_end import FarEnd
from tests.walks.__main__ import ROOT, Walks, answered

ROW = re.compile(r"^\| (.+?) \| (\d+) \| \d+ \| \d+ \| \d+ \|$", re.M)


def test_no_walk_meets_more_files_than_the_page_says() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    said = {name: int(files) for name, files in ROW.findall(page)}
    with tempfile.TemporaryDirectory() as folder, FarEnd(answered) as far_end:
        met = {name: len(walk.files) for name, walk in Walks(Path(folder), far_end.url).all()}
    assert met.keys() == said.keys()
    longer = {name: count for name, count in met.items() if count > said[name]}
    assert not longer, "count again (`python -m tests.walks`), and say why in the commit"
