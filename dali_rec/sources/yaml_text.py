"""YAML whose values are all texts, as written: a class called ``no`` is no boolean, one called ``1.0`` no number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from dali_rec.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

#: What stands for nothing.
_NOTHING = ("", "~", "null", "Null", "NULL")


def parse_yaml(path: Path, text: str, first_line: int = 1) -> dict[str, Any]:
    """The keys and values of a YAML text from ``path``, where it begins on ``first_line``; none of any other form.

    Raises SourceError, with the line, for what is no YAML, and for a key that stands twice.
    """
    try:
        found = yaml.load(text, _Texts)  # noqa: S506  # a loader that makes nothing but texts, lists and mappings
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f", line {error.problem_mark.line + first_line}"
        # What was read until then, and what then came; either may be all there is.
        found = ", ".join(filter(None, (error.context, error.problem)))
        remedy = "; write / in paths, or leave the quotes out" if "escape " in found else ""
        raise SourceError(f"{path}{line}: {found}{remedy}") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two for escapes that are no characters
        raise SourceError(f"{path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SourceError(f"{path}: lists within lists, too deep to be read") from None
    return found if isinstance(found, dict) else {}


def texts(value: Any) -> list[str]:
    """The texts in a value, which is one or a list of them; none for ``null`` and what else is there."""
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [value] if isinstance(value, str) and value not in _NOTHING else []


class _Texts(yaml.BaseLoader):
    """PyYAML's loader of texts, which does not pass over keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} stands twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
