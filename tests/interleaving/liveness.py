"""Which local variables a function may still use: the others cannot make a difference.

Control only goes forward in the source, except in loops: a variable is alive in the statement under way, in every
later line, and anywhere in the loops around it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType


@cache
def live(code: CodeType, line: int) -> frozenset[str]:
    """Return the variables of a function that it may still read when it is at a line."""
    function = _function(code)
    if function is None:  # a comprehension or lambda: one statement
        return frozenset(code.co_varnames + code.co_cellvars + code.co_freevars)
    first = line
    for node in ast.walk(function):
        if node is not function and isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or line):
            inner = [one.lineno for one in ast.walk(node) if one is not node and isinstance(one, ast.stmt)]
            if isinstance(node, ast.For | ast.While) or line < min(inner, default=line + 1):
                first = min(first, node.lineno)
    used = {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and (node.end_lineno or first) >= first
    }
    return frozenset(used.union(code.co_cellvars))


@cache
def _functions(path: str) -> dict[int, ast.FunctionDef]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    return {
        min([node.lineno, *(one.lineno for one in node.decorator_list)]): node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }


def _function(code: CodeType) -> ast.FunctionDef | None:
    function = _functions(code.co_filename).get(code.co_firstlineno)
    return function if function is not None and function.name == code.co_name else None
