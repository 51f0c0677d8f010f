"""Markdown for one comment: bounded, worst first, and whatever somebody calls a thing means nothing in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from fleet.apply import Group, Outcome, Result, Status
from fleet.diagnostics import Diagnostic
from fleet.drift import Drift, Drifted
from fleet.errors import InputError
from fleet.markdown import block, code
from fleet.model import Address, Change, Owned, Spec
from fleet.plan import LeftOut, Plan
from fleet.plan import Told as Beside
from fleet.show_markdown import LIMIT, report_markdown
from fleet.site import SiteAddress, SiteReference
from fleet.told import Told

GITHUB_TAKES = 65_536

OURS = (
    "<details><summary>where</summary>",
    "<details><summary>what it will be</summary>",
    "</details>",
    "<sub>",
    "</sub>",
)
OUR_HTML = (*OURS, "<details><summary>the place</summary>", "<details><summary>what moved</summary>")


class Key(Owned):
    """A credential."""

    is_credential = True
    name: str = ""


class Thing(Owned):
    """Anything else."""

    description: str = ""


def site(number: int, file: str = "hub.yaml") -> Address:
    return SiteAddress("org/values", "main", f"{number}/{file}", "jupyterhub.singleuser.image").address


def moved(number: int, before: str, after: str, *hubs: str, image: str = "quay.io/o/i") -> Change:
    old, new = SiteReference(image=image, tag=before), SiteReference(image=image, tag=after)
    return Change(site(number), old, new, group="values", reaches=hubs)


def removed(number: int) -> Change:
    name = f"organisation/a-rather-long-repository-name-{number}"
    return Change(Address("quay", "repository", name), Thing(owner="f"), None, removal="forget")


def plan(*changes: Change, **told: object) -> Plan:
    return Plan("example", {}, changes, told=Beside(hubs=9, **told))  # type: ignore[arg-type]


def test_the_worst_stands_first() -> None:
    secret = Change(Address("github", "secret", "o/r/KEY"), None, Key(name="k"))
    thing = Change(Address("github", "repository", "o/r"), None, Thing(description="d"))
    text = report_markdown(Told("plan", plan(moved(1, "a", "b", "h"), thing, secret, removed(1))))
    titles = [line for line in text.splitlines() if line.startswith("####")]
    assert titles == ["#### Removals", "#### Credentials", "#### Images that hubs will see", "#### Everything else"]
    assert "**forget** `quay:repository:organisation/a-rather-long-repository-name-1`" in text
    assert "1 hub of 9 will see it." in text


def test_changes_that_do_the_same_are_one_entry() -> None:
    text = report_markdown(Told("plan", plan(*(moved(n, "a", "b", f"h{n}") for n in range(7)))))
    assert "- `quay.io/o/i` `a` → `b` · 7 places, 7 hubs" in text
    assert text.count("→") == 1


@pytest.mark.parametrize(("removals", "others"), [(300, 4700), (0, 5000), (900, 4100)])
def test_five_thousand_changes_fit_one_comment_and_every_removal_is_seen(removals: int, others: int) -> None:
    changes = [moved(n, f"old-{n}", f"new-{n}", f"hub-{n}", image=f"quay.io/org/image-{n}") for n in range(others)]
    shown = plan(*changes, *(removed(n) for n in range(removals)))
    text = report_markdown(Told("plan", shown, run_url="https://github.com/o/r/actions/runs/1", is_saved=True))
    assert len(text) <= LIMIT < GITHUB_TAKES
    for change in shown.changes[others:]:
        assert f"{change.address.name}`" in text
    assert "more, in [the log of the run](https://github.com/o/r/actions/runs/1) and the plan's artefact" in text


def test_more_removals_than_any_comment_holds_are_counted() -> None:
    text = report_markdown(Told("plan", plan(*(removed(n) for n in range(5000)))))
    assert len(text) <= LIMIT
    assert "5,000 to remove" in text


def test_four_bytes_a_character_still_fit() -> None:
    changes = [replace(removed(n), address=Address("q", "r", f"{n}{'🦀' * 90}")) for n in range(5000)]
    text = report_markdown(Told("plan", plan(*changes)))
    assert len(text) <= LIMIT
    assert len(text.encode()) < 4 * GITHUB_TAKES


def test_an_outcome_tells_what_was_not_applied() -> None:
    change = moved(1, "a", "b", "h")
    bad = Result(Group("values org/values@main", "values", (change,)), Status.FAILED, "it is `archived`")
    text = report_markdown(Told("apply", plan(change), outcome=Outcome((bad,), "the deadline has come")))
    assert text.startswith("### fleet apply · `example`: 1 failed")
    assert "- **failed** `values org/values@main`: `` it is `archived` ``" in text
    assert "- `the deadline has come`" in text


# --- names that somebody chose

SPICE = [
    "<script>alert(1)</script>", "<img src=x>", "</details>", "<!-- fleet: x -->", "-->", "@everyone", "#123",
    "```", "``", "`", "|",
    "[x](javascript:x)", "![](http://x/y)", "\x1b[31m", "\n", "\r\n", "\n\n# Title", "::error file=a::b",
    "\u202e", "\u2028",
    "**", "__", "~~", "\\", "&lt;", "&#64;everyone", "http://evil.example", "<https://x.y>", "$x$", "\0", "- ",
]  # fmt: skip

HOSTILE = st.lists(st.sampled_from(SPICE) | st.text(max_size=6), min_size=1, max_size=6).map("".join)


def flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def check_harmless(text: str) -> None:
    """Nothing in a document is markup, a link or HTML but our own; every other text is code."""
    for token in flat(MarkdownIt("gfm-like", {"linkify": False}).parse(text)):
        if token.type in ("html_block", "html_inline"):
            left = token.content
            for ours in OUR_HTML:
                left = left.replace(ours, "")
            assert not left.strip(), token.content
        assert token.type not in ("image", "link_open", "s_open"), token
        if token.type == "text":
            assert "@" not in token.content
            assert "evil" not in token.content
        if token.type == "heading_open":
            assert token.tag in ("h3", "h4")
    assert text.isprintable() or set(text) - {"\n"} == {c for c in text if c.isprintable()}


@settings(deadline=None)
@given(name=HOSTILE, other=HOSTILE)
def test_no_name_means_anything_in_a_comment(name: str, other: str) -> None:
    file = SiteAddress("./v", "", other, name).address
    before, after = SiteReference(image=name, tag=other), SiteReference(image=name, tag=name)
    changes = (
        Change(file, before, after, group=name, reaches=(other, name)),
        Change(Address("github", "repository", name), None, Thing(description=other)),
        Change(Address("quay", "robot", other), Key(name=name), None, removal="forget"),
        Change(Address("github", "secret", name), None, Key(name=other)),
    )
    left_out = LeftOut(Address("values", "site", name), before, after, other, name)
    shown = Plan("example", {}, changes, told=Beside(left_out=(left_out,), notes=(name, other)))
    failed = Outcome((Result(Group(name, "values", changes[:1]), Status.FAILED, other),), name)
    check_harmless(report_markdown(Told("plan", shown)))
    check_harmless(report_markdown(Told("apply", shown, outcome=failed, notes=(other,))))
    check_harmless(report_markdown(Told("plan", error=InputError([Diagnostic(name, other)]), exit_code=1)))
    drifted = Drifted(file, before, "now", after, None, {name: other})
    check_harmless(report_markdown(Told("drift", drift=Drift("example", 1, (drifted,)))))


@given(HOSTILE)
def test_code_is_one_code_span_that_says_the_text(text: str) -> None:
    (paragraph,) = [token for token in MarkdownIt().parse(f"- {code(text)} end") if token.type == "inline"]
    spans = [token for token in paragraph.children or () if token.type == "code_inline"]
    assert len(spans) == (1 if text.strip() else 0) or not "".join(text.split())


@given(st.lists(HOSTILE, min_size=1, max_size=4))
def test_a_block_of_code_ends_where_it_is_meant_to(lines: list[str]) -> None:
    tokens = MarkdownIt().parse("\n".join([*block(lines), "", "end"]))
    assert [token.type for token in tokens][:1] == ["fence"]
    assert tokens[-2].content == "end"
    assert tokens[0].content.count("\n") == len(lines)


def test_a_spec_is_no_credential_unless_it_says_so() -> None:
    assert not Spec.is_credential
