"""Conditions and computed parameters: a small, typed part of CEL, judged when a playbook is saved.

Staff write these, so nothing in them may fail in the middle of a run for a reason that could be seen before, loop, or
reach anything: no attributes but the declared facts, no macros, no regular expressions, no clock. The text is parsed
and evaluated by cel-python; what is allowed, which type it has and how large it may be is decided here, by a list of
what is allowed and not of what is forbidden.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import celpy
from celpy.adapter import json_to_cel
from celpy.celparser import CELParseError
from celpy.evaluation import CELEvalError, Result
from lark import Token, Tree

MAX_LENGTH = 500
MAX_NODES = 100
MAX_DEPTH = 30
#: brackets and signs that may nest
MAX_NESTING = 12
#: of a text that an expression makes
MAX_RESULT_LENGTH = 2_000

#: "int", "string", "bool", "list(string)" or the members of an object
Type = str | Mapping[str, "Type"]
LIST_OF_STRINGS = "list(string)"
COMPARED = {"relation_lt", "relation_le", "relation_gt", "relation_ge"}
METHODS = {"startsWith", "endsWith", "contains"}
ARITHMETIC = {"addition_sub", "multiplication_mul", "multiplication_div", "multiplication_mod"}


class BadExpression(ValueError):
    """What is wrong with an expression, for whoever wrote it."""


class EvaluationFailed(Exception):
    """The expression has no value for these facts: a division by zero, or a number that is too large."""


def check(text: str, scope: Mapping[str, Type], wanted: str) -> None:
    """Raise `BadExpression` unless `text` is allowed and of the type `wanted`, given the types of what it may name."""
    found = type_of(_parsed(text), scope)
    if found != wanted:
        raise BadExpression(f"This is {_named(found)}; {_named(wanted)} is needed here.")
    try:
        evaluate(text, {name: _example(kind) for name, kind in scope.items()})
    except EvaluationFailed:
        # Whether it has a value depends on the facts, as in a division.
        return
    except Exception as error:
        raise BadExpression("It cannot be evaluated.") from error


def evaluate(text: str, facts: Mapping[str, Any]) -> Any:
    """The value of a checked expression: int, str or bool. Raises `EvaluationFailed`."""
    try:
        value: Result = _program(text).evaluate({name: json_to_cel(value) for name, value in facts.items()})
    except CELEvalError as error:
        raise EvaluationFailed(f"{text}: {str(error.args[0])[:200]}") from None
    if isinstance(value, CELEvalError):
        raise EvaluationFailed(f"{text}: {str(value.args[0])[:200]}")
    if isinstance(value, celpy.celtypes.BoolType | bool):
        return bool(value)
    if isinstance(value, celpy.celtypes.IntType):
        return int(value)
    said = str(value)
    if "\x00" in said:
        raise EvaluationFailed(f"{text}: it makes a text with a NUL character.")
    if len(said) > MAX_RESULT_LENGTH:
        raise EvaluationFailed(f"{text}: it makes a text of over {MAX_RESULT_LENGTH} characters.")
    return said


def _example(kind: Type) -> Any:
    """Some value of that type."""
    if isinstance(kind, Mapping):
        return {name: _example(inner) for name, inner in kind.items()}
    return {"int": 1, "string": "a", "bool": True, LIST_OF_STRINGS: ["a"]}[kind]


@functools.lru_cache(maxsize=1_000)
def _program(text: str) -> celpy.Runner:
    environment = celpy.Environment()
    return environment.program(environment.compile(text))


@functools.lru_cache(maxsize=1_000)
def _parsed(text: str) -> Tree:
    if len(text) > MAX_LENGTH:
        raise BadExpression(f"{len(text)} characters; an expression has at most {MAX_LENGTH}.")
    if "\x00" in text or not text.strip():
        raise BadExpression("An expression is needed here.")
    try:
        tree: Tree = celpy.Environment().compile(text)  # type: ignore[assignment]
    except CELParseError as error:
        raise BadExpression(f"It cannot be read near column {error.column or 1}.") from None
    except (ValueError, RecursionError, KeyError):
        raise BadExpression("It cannot be read.") from None
    size = _size(tree)
    if size.nodes > MAX_NODES:
        raise BadExpression(f"It has {size.nodes} parts; an expression has at most {MAX_NODES}.")
    if size.nesting > MAX_NESTING:
        raise BadExpression(f"Brackets and signs nest at most {MAX_NESTING} deep.")
    if size.depth > MAX_DEPTH:
        raise BadExpression(f"It nests {size.depth} deep; an expression nests at most {MAX_DEPTH} deep.")
    return tree


@dataclass(kw_only=True)
class _Size:
    #: values and operators
    nodes: int = 0
    #: how deep they nest; the grammar's levels with one child do not count
    depth: int = 0
    #: how deep brackets nest, and signs; each is a dozen of the grammar's levels, all of which evaluation recurses into
    nesting: int = 0


CALLS = frozenset({"ident_arg", "dot_ident_arg", "member_dot_arg"})
BRACKETS = CALLS | {"paren_expr", "member_index", "member_object", "list_lit", "map_lit"}
SIGNS = frozenset({"unary_not", "unary_neg"})


def _size(tree: Tree) -> _Size:
    """Measured without recursion, and on the tree: what a bracket is in a text depends on comments and quotes."""
    size = _Size()
    todo: list[tuple[Any, int, int, int]] = [(tree, 0, 0, 0)]
    while todo:
        node, depth, brackets, signs = todo.pop()
        if isinstance(node, Token):
            size.nodes += 1
            continue
        depth += len(node.children) > 1
        brackets += node.data in BRACKETS
        signs += node.data == "unary" and getattr(node.children[0], "data", "") in SIGNS
        size.depth, size.nesting = max(size.depth, depth), max(size.nesting, brackets, signs)
        todo.extend((child, depth, brackets, signs) for child in node.children)
    return size


def type_of(node: Any, scope: Mapping[str, Type]) -> Type:
    """The type of an expression's tree. Raises `BadExpression` for whatever is not on the list of what is allowed."""
    name, children = node.data, node.children
    if name in {"expr", "conditionalor", "conditionaland", "relation", "addition", "multiplication", "unary", "member"}:
        if len(children) == 1:
            return type_of(children[0], scope)
        return _operation(name, children, scope)
    if name == "primary":
        return type_of(children[0], scope)
    if name == "paren_expr":
        return type_of(children[0], scope)
    if name == "literal":
        return _literal(children[0])
    if name == "ident":
        return _named_fact(str(children[0]), scope)
    if name == "member_dot":
        return _member(type_of(children[0], scope), str(children[1]))
    if name == "member_dot_arg":
        return _method(children, scope)
    if name == "ident_arg":
        return _function(children, scope)
    if name == "list_lit":
        return _list(children, scope)
    raise BadExpression(f"{_words(name)} cannot be used here.")


def _operation(name: str, children: Sequence[Any], scope: Mapping[str, Type]) -> Type:
    if name == "expr":
        _require("bool", type_of(children[0], scope), 'before "?"')
        yes, no = type_of(children[1], scope), type_of(children[2], scope)
        if yes != no:
            raise BadExpression(f'Both sides of ":" must be alike; here are {_named(yes)} and {_named(no)}.')
        return yes
    if name in {"conditionalor", "conditionaland"}:
        sign = "||" if name == "conditionalor" else "&&"
        for child in children:
            _require("bool", type_of(child, scope), f'beside "{sign}"')
        return "bool"
    # The grammar puts the operator around the left side: (relation (relation_gt left) right).
    head = children[0]
    operator = head.data
    if name == "unary":
        wanted = "bool" if operator == "unary_not" else "int"
        _require(wanted, type_of(children[1], scope), "behind a sign")
        return wanted
    left, right = type_of(head.children[0], scope), type_of(children[1], scope)
    return _binary(operator, left, right)


def _binary(operator: str, left: Type, right: Type) -> Type:
    if operator == "relation_in":
        if left != "string" or right != LIST_OF_STRINGS:
            raise BadExpression('"in" asks whether a text is in a list of texts.')
        return "bool"
    if left != right or not isinstance(left, str) or left == LIST_OF_STRINGS:
        raise BadExpression(f"{_named(left)} and {_named(right)} cannot be used together here.")
    if operator in {"relation_eq", "relation_ne"}:
        return "bool"
    if operator in COMPARED:
        _require("int", left, "in a comparison")
        return "bool"
    if operator == "addition_add" and left == "string":
        return left
    if operator in ARITHMETIC or operator == "addition_add":
        _require("int", left, "in a calculation")
        return "int"
    raise BadExpression(f"{_words(operator)} cannot be used here.")


def _literal(token: Token) -> str:
    kind = {"INT_LIT": "int", "STRING_LIT": "string", "BOOL_LIT": "bool"}.get(token.type)
    if kind is None:
        raise BadExpression(f"{token} cannot be used here: whole numbers, texts, true and false can.")
    if kind == "int" and abs(int(str(token), 0)) > 2**53:
        raise BadExpression(f"{token} is too large a number.")
    return kind


def _named_fact(name: str, scope: Mapping[str, Type]) -> Type:
    if name not in scope:
        raise BadExpression(f'"{name}" is not known here; known are {_list_of(scope)}.')
    return scope[name]


def _member(of: Type, name: str) -> Type:
    if isinstance(of, str):
        raise BadExpression(f'{_named(of)} has no part "{name}".')
    if name not in of:
        raise BadExpression(f'"{name}" is not known here; known are {_list_of(of)}.')
    return of[name]


def _method(children: Sequence[Any], scope: Mapping[str, Type]) -> Type:
    name = str(children[1])
    arguments = children[2].children if len(children) > 2 and children[2] is not None else []
    if name not in METHODS:
        raise BadExpression(f'"{name}" cannot be used here; {_list_of(METHODS)} can.')
    _require("string", type_of(children[0], scope), f'before ".{name}"')
    if len(arguments) != 1:
        raise BadExpression(f'"{name}" takes one text.')
    _require("string", type_of(arguments[0], scope), f'in "{name}"')
    return "bool"


def _function(children: Sequence[Any], scope: Mapping[str, Type]) -> Type:
    name = str(children[0])
    arguments = children[1].children if len(children) > 1 and children[1] is not None else []
    if name not in {"size", "string"} or len(arguments) != 1:
        raise BadExpression(f'"{name}" cannot be used here; size(x) and string(x) can.')
    given = type_of(arguments[0], scope)
    if name == "size":
        if not isinstance(given, str) or given not in {"string", LIST_OF_STRINGS}:
            raise BadExpression("size(x) is of a text or a list.")
        return "int"
    _require("int", given, "in string(x)")
    return "string"


def _list(children: Sequence[Any], scope: Mapping[str, Type]) -> Type:
    for item in children[0].children if children and children[0] is not None else []:
        _require("string", type_of(item, scope), "in a list")
    return LIST_OF_STRINGS


def _require(wanted: str, found: Type, where: str) -> None:
    if found != wanted:
        raise BadExpression(f"{_named(wanted)} is needed {where}, not {_named(found)}.")


NAMES = {"int": "a number", "string": "a text", "bool": "yes or no", LIST_OF_STRINGS: "a list of texts"}


def _named(kind: Type) -> str:
    return NAMES[kind] if isinstance(kind, str) else "a group of facts"


def _list_of(names: Mapping[str, Any] | set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _words(name: str) -> str:
    return f'"{name.replace("_", " ")}"'
