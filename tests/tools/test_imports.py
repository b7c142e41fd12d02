"""What tools, examples and pages import, most of which no test runs, is there; and within, imports run one way."""

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


PACKAGES = re.findall(r"^\| `(\w+)/` \|", (ROOT / "docs" / "development.md").read_text(), re.MULTILINE)


def packages_imported_by(folder_or_module):
    files = folder_or_module.rglob("*.py") if folder_or_module.is_dir() else [folder_or_module]
    modules = {module for file in files for module, _ in imported_by(file)}
    return {module.split(".")[1] for module in modules if "." in module} & {*PACKAGES}


def test_packages_import_only_what_stands_above_them_in_the_table():
    assert sorted(PACKAGES) == sorted(path.parent.name for path in (ROOT / "dali_rec").glob("*/__init__.py"))
    for place, package in enumerate(PACKAGES):
        assert packages_imported_by(ROOT / "dali_rec" / package) <= {*PACKAGES[: place + 1]}, package


def test_modules_beside_the_packages_import_of_them_only_the_file_format():
    for module in (ROOT / "dali_rec").glob("*.py"):
        if module.name not in ("__init__.py", "cli.py"):
            assert packages_imported_by(module) <= {"recordio"}, module.name
