"""What tools, examples and pages import of the package, most of which no test runs, is there."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = [
    path
    for folder in ("tools", "examples")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and (path.suffix == ".py" or path.read_bytes().startswith(b"#!/usr/bin/env python3"))
]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_IMPORT = re.compile(r"^from (dali_rec[\w.]*) import ([\w, ]+)", re.MULTILINE)


def imported_by(program):
    """(module, name) of each ``from dali_rec… import``."""
    for node in ast.walk(ast.parse(program.read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dali_rec":
            yield from ((node.module, alias.name) for alias in node.names)


def is_there(module, name):
    try:
        importlib.import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return hasattr(importlib.import_module(module), name)
    return True


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_what_a_program_imports_is_there(program):
    assert [pair for pair in imported_by(program) if not is_there(*pair)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_what_a_page_imports_is_there(page):
    found = [(module, name.strip()) for module, names in _IMPORT.findall(page.read_text()) for name in names.split(",")]
    assert [pair for pair in found if not is_there(*pair)] == []
