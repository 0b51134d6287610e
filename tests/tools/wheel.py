"""Build the wheel and use it as a stranger would: unpacked in an empty folder, with our dependencies but not our tree."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Exit non-zero when the wheel lacks something."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        (wheel,) = folder.glob("*.whl")
        home = folder / "site"
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            archive.extractall(home)
        unwanted = [n for n in names if n.startswith(("tests/", "docs/", "benchmarks/"))]
        assert not unwanted, f"the wheel carries {unwanted[:3]}"
        environment = {**os.environ, "PYTHONPATH": str(home)}
        code = (
            "import turnup.data as d, turnup; assert 'site' in turnup.__file__, turnup.__file__;"
            "assert (d.folder('topologies') / 'metro.clab.yml').exists();"
            "assert (d.folder('examples') / 'demo.yaml').exists();"
            "from turnup.catalogs import check_folders; f = check_folders(d.catalog_folders()); assert not f, f;"
            "print('wheel: packages and data are complete')"
        )
        subprocess.run([sys.executable, "-P", "-c", code], check=True, cwd=folder, env=environment)


if __name__ == "__main__":
    main()
