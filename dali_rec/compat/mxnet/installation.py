"""Makes ``import mxnet`` mean ``dali_rec.compat.mxnet``."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from dali_rec.compat.mxnet.missing import WHERE_TO_READ

_NAME = "dali_rec.compat.mxnet"
# A folder with a package ``mxnet`` that does nothing but call install().
_ALIAS = Path(__file__).resolve().parents[1] / "as_mxnet"


def install() -> None:
    """From now on ``import mxnet`` and ``from mxnet.io import …`` give this module and its parts, in this process.

    Processes that are started later, other than by forking, import anew: ``python -m dali_rec.compat.mxnet SCRIPT``
    serves those too. Raises RuntimeError if MXNet itself has been imported.
    """
    there = sys.modules.get("mxnet")
    if there is not None and there.__name__ != _NAME and Path(str(there.__file__)).parent.parent != _ALIAS:
        raise RuntimeError(f"mxnet has been imported from {there.__file__}: call install() before that")
    for name, module in list(sys.modules.items()):
        if name == _NAME or name.startswith(f"{_NAME}."):
            sys.modules["mxnet" + name.removeprefix(_NAME)] = module
    for name in ("image", "io"):
        sys.modules[f"mxnet.{name}.{name}"] = sys.modules[f"{_NAME}.{name}"]


def run(arguments: list[str]) -> None:
    """Run a script, or with ``-m`` a module, as Python does, with ``import mxnet`` meaning this module.

    Processes that it starts find it too, by PYTHONPATH.
    """
    beyond = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(_ALIAS), *([beyond] if beyond else [])])
    sys.path.insert(0, str(_ALIAS))
    install()
    try:
        if arguments[0] == "-m":
            sys.argv = arguments[1:]
            sys.path.insert(0, str(Path.cwd()))
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = arguments
            sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
            runpy.run_path(arguments[0], run_name="__main__")
    except ImportError as error:
        # "from mxnet import gluon" drops what the module says of a name that it lacks.
        if f"{error.name}.".startswith(("mxnet.", f"{_NAME}.")):
            error.msg = f"{error.msg}: {WHERE_TO_READ}"
        raise
