"""Locks on files, across processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub.core.errors import Refused
from hub.gateways.lock_file import only_one


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    attempt = (
        "from pathlib import Path; from hub.gateways.lock_file import only_one\n"
        f"with only_one(Path({str(folder)!r})): pass"
    )
    command = [sys.executable, "-c", attempt]
    root = Path(__file__).parents[2]
    with only_one(folder):
        second = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        assert "Refused" in second.stderr
        assert f"process {os.getpid()}" in second.stderr
        with pytest.raises(Refused), only_one(folder):
            pass
    subprocess.run(command, cwd=root, check=True)
