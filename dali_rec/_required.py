"""The packages without which nothing works: one that does not import is named in one line, with what mends it.

Importing this module looks. Installed is not enough: OpenCV with windows needs libraries that servers have not, and a
NumPy of another time breaks what was built for it.
"""

from __future__ import annotations

import importlib

from dali_rec._interrupt import is_the_command
from dali_rec.errors import MissingDependencyError

_MODULES = {
    "numpy": "numpy",
    "PIL": "pillow",
    "simplejpeg": "simplejpeg",
    "cv2": "opencv-python-headless",
}
_MODULES_OF_THE_COMMAND = {"typer": "typer", "rich": "rich"}
#: Other builds of OpenCV overwrite each other's files.
_OPENCV = "pip uninstall -y opencv-python opencv-contrib-python {0} && pip install {0}"


def _require(modules: dict[str, str]) -> None:
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


if is_the_command():
    try:
        _require(_MODULES | _MODULES_OF_THE_COMMAND)
    except MissingDependencyError as error:
        raise SystemExit(f"dali-rec: {error}") from None
else:
    _require(_MODULES)
