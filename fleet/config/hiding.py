"""Keeps a secret that somebody wrote into fleet.yaml itself out of what is printed about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fleet.diagnostics import Diagnostic, Range


def hide(diagnostics: Sequence[Diagnostic], secrets: Sequence[Range]) -> list[Diagnostic]:
    """The diagnostics with stars in their snippets wherever one of these ranges reaches."""
    hidden = []
    for diagnostic in diagnostics:
        snippet = diagnostic.snippet
        for secret in secrets:
            if diagnostic.range is not None:
                snippet = _starred(snippet, diagnostic.range.start.line, secret)
        hidden.append(replace(diagnostic, snippet=snippet))
    return hidden


def _starred(snippet: str, line: int, secret: Range) -> str:
    if not secret.start.line <= line <= secret.end.line:
        return snippet
    start = secret.start.column - 1 if line == secret.start.line else 0
    end = secret.end.column - 1 if line == secret.end.line else len(snippet)
    return snippet[:start] + "*" * len(snippet[start:end]) + snippet[end:]
