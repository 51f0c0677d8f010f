"""The templates themselves: what little of Jinja2 may stand in one, checked with its place, and rendered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from traceback import extract_tb

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.environment import Template as Compiled
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleet.diagnostics import Diagnostic, Position, Range
from fleet.errors import InputError
from fleet.render.values import RenderValues, TemplateFile, known_values, wrong

MAX_BYTES = 256 * 1024
"""How large a template, and what is made of it, may be."""

_MAX_DEPTH = 40
_TOO_DEEP = f"it is nested more than {_MAX_DEPTH} deep"

_TEXTS = (
    "image",
    "registry_host",
    "image_name",
    "default_branch",
    "environment",
    "username",
    "password",
    "build_arguments",
)
_RECORDS = {
    "permissions": ("name", "access"),
    "login_steps": ("name", "id", "uses"),
    "inputs": ("name", "value"),
}
"""The lists that a template may go through, and the texts that an item of each has."""

_ACTIONS = "actions"
NAMES = (*_TEXTS, _ACTIONS, "permissions", "login_steps")
"""The names that a template may use; `actions` is asked as `actions["name in the table"]`."""

_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const),
    *(nodes.If, nodes.For, nodes.And, nodes.Or, nodes.Not, nodes.Compare, nodes.Operand),
)
_ALLOWED = "a template holds << values >>, <% if %> conditions and <% for %> loops over permissions and login_steps"
_AS_IT_IS = "what stands between <% raw %> and <% endraw %> is taken as it is"
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$|$")


class _NoValue(Exception):
    """A template writes a value that there is not."""


def render_file(file: TemplateFile, values: RenderValues) -> bytes:
    """One file with its values written in; raises InputError with its place."""
    checked = _check(file)
    for name, line in checked.asked:
        if name not in values.actions:
            raise _wrong(f'no commit is known for the action "{name}"', _Place(file, line))
    made, size = [], 0
    try:
        for part in checked.template.generate(known_values(values)):
            made.append(part)
            size += len(part.encode())
            if size > MAX_BYTES:
                raise wrong(f"{file.shown} would be larger than {MAX_BYTES} bytes")
    except _NoValue as error:
        own = checked.template.filename
        line = [one.lineno for one in extract_tb(error.__traceback__) if one.filename == own and one.lineno][-1]
        raise _wrong("a value that is not set is written here; ask for it by <% if %>", _Place(file, line)) from None
    return "".join(made).encode()


@dataclass(frozen=True, slots=True)
class _Checked:
    """A template that was let through, and the actions it asks for, each with its line."""

    template: Compiled
    asked: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Place:
    file: TemplateFile
    line: int

    def diagnostic(self, summary: str) -> Diagnostic:
        """What is wrong with the whole line."""
        lines = _LINE.findall(self.file.data.decode())
        before, line = len("".join(lines[: self.line - 1]).encode()), lines[self.line - 1].rstrip("\r\n")
        start = Position(self.line, 1, before)
        end = Position(self.line, len(line) + 1, before + len(line.encode()))
        return Diagnostic(summary, range=Range(self.file.shown, start, end), snippet=line)


def _wrong(summary: str, place: _Place) -> InputError:
    return InputError([place.diagnostic(summary)])


@lru_cache(maxsize=64)
def _check(file: TemplateFile) -> _Checked:
    """Compile a template once, however many images it is for; raises InputError."""
    if len(file.data) > MAX_BYTES:
        raise wrong(f"the template {file.shown} is larger than {MAX_BYTES} bytes")
    try:
        text = file.data.decode()
    except UnicodeDecodeError as error:
        raise wrong(f"the template {file.shown} is not UTF-8 (byte {error.start}); a managed file is a text") from None
    environment = _environment()
    try:
        tree = environment.parse(text)
    except TemplateSyntaxError as error:
        raise _wrong(f"{error.message}; {_AS_IT_IS}", _Place(file, error.lineno)) from None
    except RecursionError:
        raise wrong(f"the template {file.shown}: {_TOO_DEEP}") from None
    except ValueError:  # a number of thousands of digits
        raise wrong(f"the template {file.shown} holds a number that is too long") from None
    asked = []
    for found in _walk(tree):
        if reason := _refusal(found):
            raise _wrong(reason, _Place(file, found.line))
        if isinstance(found.node, nodes.Getitem):
            assert isinstance(found.node.arg, nodes.Const)
            asked.append((found.node.arg.value, found.line))
    return _Checked(environment.from_string(tree), tuple(asked))


def _environment() -> ImmutableSandboxedEnvironment:
    """Jinja2 without a loader, a global or a filter; `_refusal` is the fence, the sandbox a second one."""
    environment = ImmutableSandboxedEnvironment(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        finalize=_value,
        autoescape=False,  # YAML, not HTML: values are matched against strict patterns instead
    )
    environment.globals.clear()
    environment.filters.clear()
    environment.tests.clear()
    return environment


def _value(value: object) -> object:
    if value is None:
        raise _NoValue
    return value


# --- what may stand where


@dataclass(frozen=True, slots=True)
class _Found:
    """A node, and the loops that it stands in: the list of each by the name of its item."""

    node: nodes.Node
    parent: nodes.Node
    line: int
    depth: int
    loops: tuple[tuple[str, str], ...] = ()


def _walk(tree: nodes.Node) -> Iterator[_Found]:
    """Every node, outer ones first and in their order; no recursion, which a template could exhaust."""
    waiting = [_Found(tree, tree, 1, 0)]
    while waiting:
        found = waiting.pop()
        yield found
        waiting += reversed(list(_children(found)))


def _children(found: _Found) -> Iterator[_Found]:
    node = found.node
    inner = found.loops
    if isinstance(node, nodes.For) and isinstance(node.target, nodes.Name):
        inner = (*inner, (node.target.name, _list_of(node.iter) or ""))
    body = set(map(id, chain(node.body, [node.target]))) if isinstance(node, nodes.For) else set()
    for child in node.iter_child_nodes():
        loops = inner if id(child) in body else found.loops
        yield _Found(child, node, child.lineno or found.line, found.depth + 1, loops)


def _list_of(node: nodes.Node) -> str | None:
    """Which of the known lists an expression names."""
    if isinstance(node, nodes.Name) and node.name in ("permissions", "login_steps"):
        return node.name
    return "inputs" if isinstance(node, nodes.Getattr) and node.attr == "inputs" else None


def _refusal(found: _Found) -> str | None:
    """Why a node may not stand in a template, None where it may."""
    node = found.node
    if found.depth > _MAX_DEPTH:
        return _TOO_DEEP
    if not isinstance(node, _NODES):
        return f'"{type(node).__name__.lower()}" may not stand here: {_ALLOWED}'
    if isinstance(node, nodes.For):
        return _refused_loop(node, found.loops)
    if isinstance(node, nodes.Name):
        return _refused_name(node, found)
    if isinstance(node, nodes.Getattr):
        return _refused_field(node, found)
    if isinstance(node, nodes.Getitem):
        from_actions = isinstance(node.node, nodes.Name) and node.node.name == _ACTIONS
        if not from_actions or not isinstance(node.arg, nodes.Const) or not isinstance(node.arg.value, str):
            return f'only {_ACTIONS}["name"] is asked with brackets'
    elif isinstance(node, nodes.Const) and not (isinstance(node.value, str) and node.value.isprintable()):
        return "the only constants are texts in quotation marks, of printable characters"
    elif isinstance(node, nodes.Operand) and node.op not in ("eq", "ne"):
        return "a condition compares with == and !="
    return None


def _refused_loop(node: nodes.For, loops: tuple[tuple[str, str], ...]) -> str | None:
    """A loop goes through one list, and no list is gone through inside of itself, so that nesting stays short."""
    known = _list_of(node.iter)
    if known is None or not isinstance(node.target, nodes.Name):
        return "a loop goes through permissions, login_steps or the inputs of a login step"
    if node.recursive or node.test is not None or node.else_:
        return "a loop has neither a condition, nor an else, nor itself in it"
    if known in dict(loops).values():
        return f"{known} is gone through inside of a loop through {known}"
    if node.target.name in (*NAMES, *dict(loops), "loop"):
        return f'a loop cannot call its item "{node.target.name}": something else is named so'
    return None


def _refused_name(node: nodes.Name, found: _Found) -> str | None:
    loops = dict(found.loops)
    if node.ctx == "store":
        return None if isinstance(found.parent, nodes.For) else "nothing can be set in a template"
    if node.name in loops:
        if isinstance(found.parent, nodes.Getattr):
            return None
        return f"{node.name} is asked as {node.name}.{_RECORDS[loops[node.name]][0]}"
    if node.name not in NAMES:
        return f'no value is named "{node.name}"; there are {", ".join((*NAMES, *loops))}'
    if node.name == _ACTIONS and not isinstance(found.parent, nodes.Getitem):
        return f'{_ACTIONS} is asked as {_ACTIONS}["name"]'
    looped = isinstance(found.parent, nodes.For) and found.parent.iter is node
    asked = isinstance(found.parent, (nodes.If, nodes.And, nodes.Or, nodes.Not))
    if node.name in _RECORDS and not looped and not asked:
        return f"{node.name} is a list: go through it with <% for %>"
    return None


def _refused_field(node: nodes.Getattr, found: _Found) -> str | None:
    loops = dict(found.loops)
    known = loops.get(node.node.name) if isinstance(node.node, nodes.Name) else None
    if known is None:
        return "only the item of a loop is asked with a point"
    if known == "login_steps" and node.attr == "inputs":
        parent = found.parent
        if (isinstance(parent, nodes.For) and parent.iter is node) or isinstance(parent, (nodes.If, nodes.Not)):
            return None
        return "inputs is a list: go through it with <% for %>"
    if node.attr not in _RECORDS[known]:
        return f"an item of {known} has no {node.attr!r}; it has {', '.join(_RECORDS[known])}"
    return None
