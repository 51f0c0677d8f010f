"""Managed files: templates and values in, bytes out; pure.

A template holds values, `<< name >>`, conditions, `<% if name %> … <% else %> … <% endif %>`, and loops over the few
short lists of a login, `<% for step in login_steps %> … <% endfor %>`; comments are `<# … #>`, and
`<% raw %> … <% endraw %>` stands as it is. Nothing else of Jinja2 is let through, so whatever a template says, it ends,
and what it makes is bounded. The delimiters leave GitHub's `${{ … }}` alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.diagnostics import Diagnostic
from fleet.errors import InputError
from fleet.render.values import Pin, RenderValues, TemplateFile

__all__ = ["Pin", "RenderValues", "TemplateFile", "render"]


def render(files: Mapping[str, TemplateFile], values: RenderValues) -> dict[str, bytes]:
    """Every file with its values written in, by the same path; the same files and values give the same bytes.

    Line ends become `\\n`. Raises InputError, with a diagnostic for the first mistake of each file.
    """
    from fleet.render.template import render_file  # brings Jinja2, which only fleets with managed files pay for

    made: dict[str, bytes] = {}
    wrong: list[Diagnostic] = []
    for path, file in files.items():
        try:
            made[path] = render_file(file, values)
        except InputError as error:
            wrong += error.diagnostics
    if wrong:
        raise InputError(wrong)
    return made
