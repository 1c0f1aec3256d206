"""``python -m tests.support.traced FOLDER stages.NAME`` runs a stage as ``python -m stages.NAME`` does, and watches it.

It writes ``FOLDER/NAME.json`` with three lists of paths relative to the working folder: ``read``, files that Python
code opened and folders that it listed, in any thread, but not code and what the stage itself made; ``written``, files
that are new or changed, without checkpoints; ``imported``, the project's modules that are loaded at the end.
"""

import json
import os
import runpy
import sys
from pathlib import Path

CODE = ("segcore", "stages")


def main() -> None:
    """Run the stage and write the report."""
    folder, module = sys.argv[1:]
    sys.argv[1:] = []
    root = Path.cwd()
    before = stamps(root)
    opened: set[str] = set()

    def note(event: str, arguments: tuple) -> None:
        # An integer in the place of a path is a file that is open already.
        if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], (str, bytes, os.PathLike)):
            opened.add(os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100 - resolve() would follow links

    sys.addaudithook(note)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        files = {path for loaded in sys.modules.values() if (path := getattr(loaded, "__file__", None))}
        report = {
            "read": relative(opened, root) & before.keys(),
            "written": {name for name, stamp in stamps(root).items() if stamp and before.get(name) != stamp},
            "imported": {name for name in relative(files, root) if Path(name).parts[0] in CODE},
        }
        text = json.dumps({kind: sorted(names) for kind, names in report.items()})
        Path(folder, f"{module.removeprefix('stages.')}.json").write_text(text)


def stamps(root: Path) -> dict[str, int]:
    """When each file that is neither code nor hidden was changed, and 0 for folders."""
    tops = [path for path in root.iterdir() if path.name not in (*CODE, "tests") and not path.name.startswith(".")]
    paths = tops + [path for top in tops for path in top.rglob("*") if "checkpoints" not in path.parts]
    return {str(path.relative_to(root)): path.is_file() * path.stat().st_mtime_ns for path in paths}


def relative(paths: set[str], root: Path) -> set[str]:
    """Those of the paths that are below ``root``, relative to it."""
    return {str(Path(path).relative_to(root)) for path in paths if Path(path).is_relative_to(root)}


if __name__ == "__main__":
    main()
