"""Bill of materials of a release: `python -m tests.security.sbom FILE`, which is `make sbom`.

It is CycloneDX 1.6 as JSON: the hub, and each package that `requirements.txt` locks, with its
version, its package URL and the digests of its files. The same input gives the same bytes.
"""

import subprocess
import sys
from pathlib import Path

from tests.security.allowed import ROOT

VERSION = "1.6"


def write(path: Path) -> None:
    """Write the bill to a file, in a folder that is made where it is missing.

    Raises:
        subprocess.CalledProcessError: CycloneDX cannot read `requirements.txt`, or finds its own
            output against the schema.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements"),
        *("requirements.txt", "--pyproject", "pyproject.toml", "--output-reproducible"),
        *("--spec-version", VERSION, "--output-format", "JSON", "--validate"),
        *("--output-file", str(path.absolute())),
    ]
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
