"""The command line: all commands, and how each of them ends. What they do stands in commands/."""

from __future__ import annotations

import errno
import logging
import sys
import traceback
from typing import Annotated

import typer

from dali_rec._bus_errors import say_bus_errors
from dali_rec._files import NO_ROOM, allow_many_files, too_long, unnameable
from dali_rec._interrupt import INTERRUPTED, interrupt_as_usual
from dali_rec._streams import prepare_streams
from dali_rec._version import __version__
from dali_rec.commands._sections import in_sections
from dali_rec.commands.arrange import merge, shuffle, split
from dali_rec.commands.bench import bench
from dali_rec.commands.demo import demo
from dali_rec.commands.doctor import doctor
from dali_rec.commands.fetch import fetch
from dali_rec.commands.index import index
from dali_rec.commands.info import info
from dali_rec.commands.list import list_images
from dali_rec.commands.pack import SECTIONS, pack
from dali_rec.commands.show import show
from dali_rec.commands.unpack import unpack
from dali_rec.commands.verify import verify
from dali_rec.errors import DaliRecError

_TEMPORARY = 29  # letters that temporary names have more
_CANNOT_RENAME = (errno.EXDEV, errno.EPERM, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
FAILED = 1  # typer itself exits with 2 on wrong usage

app = typer.Typer(
    name="dali-rec",
    help="Pack image data sets into RecordIO and feed them to training through NVIDIA DALI.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"dali-rec {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something fails.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("dali_rec").setLevel(logging.DEBUG if debug else logging.INFO)  # s3fs says how it found its keys


app.command(cls=in_sections(SECTIONS))(pack)
app.command("list")(list_images)
app.command()(fetch)
app.command()(merge)
app.command()(split)
app.command()(shuffle)
app.command()(index)
app.command()(info)
app.command()(verify)
app.command()(show)
app.command()(unpack)
app.command()(bench)
app.command()(demo)
app.command()(doctor)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    allow_many_files()
    say_bus_errors()
    try:
        interrupt_as_usual()
        app(arguments)
    except SystemExit as end:  # typer has said what was wrong with the usage, but nothing of an interruption
        if _was_interrupted(end):
            print("interrupted", file=sys.stderr)
            return INTERRUPTED
        return end.code if isinstance(end.code, int) else FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (DaliRecError, OSError, ValueError) as error:
        if "--debug" in arguments:
            traceback.print_exc()
        print(f"dali-rec: {_one_line(error)}", file=sys.stderr)
        return FAILED
    return 0


def _was_interrupted(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in NO_ROOM and error.filename is not None:
        remedy = "make room and run it again"
        if error.errno == errno.EFBIG:
            remedy = "raise the limit ('ulimit -f', or that of the file system), or make smaller files, as by --shards"
        return f"{error.filename}: {error.strerror}; no file is left half-written: {remedy}"
    if isinstance(error, OSError) and error.filename is not None and error.strerror and error.filename2 is None:
        hint = too_long(error.filename, _TEMPORARY) if isinstance(error, FileNotFoundError) else ""
        return f"{error.filename}: {error.strerror}{hint}"
    if isinstance(error, OSError) and error.filename2 is not None and error.errno in _CANNOT_RENAME:
        return (
            f"{error.filename2}: {error.strerror}: its file system does not let {error.filename} be renamed to it; "
            "write to another one, such as a disk of this machine, and copy what comes out"
        )
    if isinstance(error, UnicodeEncodeError):
        return f"{error.object}: {unnameable(error)}"
    return " ".join(str(error).split())
