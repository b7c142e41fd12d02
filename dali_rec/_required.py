"""The packages without which nothing works: those that are missing, or do not import, are named in one line.

Importing this module looks. Installed is not enough: OpenCV with windows needs libraries that servers have not, and a
NumPy of another time breaks what was built for it.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec

from dali_rec._interrupt import program
from dali_rec.errors import MissingDependencyError

_MODULES = {
    "numpy": "numpy",
    "PIL": "pillow",
    "simplejpeg": "simplejpeg",
    "cv2": "opencv-python-headless",
    "yaml": "pyyaml",
}
_MODULES_OF_THE_COMMAND = {"typer": "typer", "rich": "rich"}
#: Other builds of OpenCV overwrite each other's files.
_OPENCV = "pip uninstall -y opencv-python opencv-contrib-python {0} && pip install {0}"


def _require(modules: dict[str, str]) -> None:
    missing = [module for module in modules if module not in sys.modules and find_spec(module) is None]
    if missing:
        packages = " ".join(modules[module] for module in missing)
        are = "is" if len(missing) == 1 else "are"
        raise MissingDependencyError(f"{', '.join(missing)} {are} not installed; mend it with: pip install {packages}")
    for module, distribution in modules.items():
        reason = _why_not(module)
        if reason is not None:
            remedy = _OPENCV if module == "cv2" else "pip install --force-reinstall {0}"
            raise MissingDependencyError(
                f"{module} does not import ({reason}); mend it with: {remedy.format(distribution)}"
            )


def _why_not(module: str) -> str | None:
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        return " ".join(str(error).split())
    if getattr(found, "__file__", None) is None:
        return "a folder without its files, as is left where another build of it is uninstalled"
    return None


_program = program()
try:
    _require(_MODULES | _MODULES_OF_THE_COMMAND if _program == "dali-rec" else _MODULES)
except MissingDependencyError as error:
    if _program is None:
        raise
    raise SystemExit(f"{_program}: {error}") from None
