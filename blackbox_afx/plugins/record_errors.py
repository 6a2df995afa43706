"""What is wrong with a TOML file of ours, in our words: the place, what came, what was expected."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from msgspec import inspect

from blackbox_afx.errors import nearest

_WORDS = {
    inspect.StrType: "a text in quotes",
    inspect.FloatType: "a number",
    inspect.IntType: "a whole number",
    inspect.BoolType: "true or false",
    inspect.StructType: "a table",
    inspect.DictType: "a table",
    inspect.ListType: "a list in [ ]",
    inspect.VarTupleType: "a list in [ ]",
}
_SYNTAX = re.compile(r"(?P<what>.*?) \(at (?P<place>.+)\)$", re.DOTALL)
_AT = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<place>.*)`)?$", re.DOTALL)


def in_our_words(error: Exception, record: type[Any], content: Any = None) -> str:
    """Word what a TOML reader or msgspec has against a file.

    Parameters
    ----------
    error : Exception
        As `tomllib` or `msgspec` raised it.
    record : type
        What the file should have become.
    content : dict, optional
        What was read of it, to show what came.

    Returns
    -------
    str
        One line, to be put after the file's name.
    """
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8; expected TOML in UTF-8; save it again as such"
    text = " ".join(str(error).split())
    syntax = _SYNTAX.match(text)
    if syntax:
        what = syntax["what"].rstrip(".")
        return (
            f"{syntax['place']}: not TOML ({what[:1].lower()}{what[1:]}); expected lines such as key = 1, "
            'key = "text" or key = ["a", "b"]'
        )
    found = _AT.match(text)
    if not isinstance(error, msgspec.ValidationError) or found is None:
        return text
    what, place = found["what"], found["place"] or ""
    kind = _kind_at(record, place)
    missing = re.match(r"Object missing required field `(.+)`", what)
    if missing:
        return f"{place + ': ' if place else ''}lacks '{missing[1]}'; expected it; add it"
    unknown = re.match(r"Object contains unknown field `(.+)`", what)
    if unknown and isinstance(kind, inspect.StructType):
        names = [field.encode_name for field in kind.fields]
        return f"{place + ': ' if place else ''}no field is called '{unknown[1]}'; {nearest(unknown[1], names)}"
    expected = _words_of(kind)
    if place and expected:
        return f"{place} = {_value_at(content, place)}; expected {expected}"
    return text


def _steps(place: str) -> list[str | int]:
    """Take ``controls[0].name`` apart; ``[...]`` is any place of a list or table."""
    steps: list[str | int] = []
    for name, number in re.findall(r"([^.\[\]]+)|\[([^\]]*)\]", place):
        steps.append(name if name else int(number) if number.isdigit() else "...")
    return steps


def _kind_at(record: type[Any], place: str) -> Any:
    """Give msgspec's description of what belongs in a place; None where there is no such place."""
    kind: Any = inspect.type_info(record)
    for step in _steps(place):
        for option in kind.types if isinstance(kind, inspect.UnionType) else (kind,):
            if isinstance(option, inspect.StructType):
                kind = next((field.type for field in option.fields if field.encode_name == step), None)
            elif isinstance(option, inspect.ListType | inspect.VarTupleType):
                kind = option.item_type
            elif isinstance(option, inspect.DictType):
                kind = option.value_type
            else:
                continue
            break
        else:
            return None
        if kind is None:
            return None
    return kind


def _words_of(kind: Any) -> str:
    if isinstance(kind, inspect.LiteralType):
        return f"one of {', '.join(str(value) for value in kind.values)}"
    if isinstance(kind, inspect.UnionType):
        return " or ".join(filter(None, (_words_of(option) for option in kind.types)))
    return _WORDS.get(type(kind), "")


def _value_at(content: Any, place: str) -> str:
    for step in _steps(place):
        try:
            content = content[step]
        except (KeyError, IndexError, TypeError):
            return "something else"
    text = repr(content)
    return text if len(text) <= 60 else text[:57] + "..."
