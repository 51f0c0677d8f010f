"""Templates hold values and conditions, and no value can mean more than itself."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from fleet.errors import InputError
from fleet.model import Address
from fleet.provider import Login, LoginStep, SecretRef
from fleet.render import Pin, RenderValues, TemplateFile, render
from fleet.render.template import MAX_BYTES

PIN = Pin("actions/checkout", "v1.2.3", "0123456789abcdef0123456789abcdef01234567")
VALUES = RenderValues("quay.io", "example/climate", "main", {"checkout": PIN})
TOKEN = SecretRef(source=Address("quay", "robot", "example+climate"), field="token")
STORED = Login.stored("example+climate", TOKEN, "ROBOT_TOKEN")
STEP = LoginStep("Log in", "checkout", "login", {"role": "arn:aws:iam::1:role/a", "key": "${{ secrets.ROBOT_TOKEN }}"})
STEPS = Login(
    "${{ github.actor }}",
    "${{ steps.login.outputs.password }}",
    {"ROBOT_TOKEN": TOKEN},
    {"id-token": "write"},
    (STEP,),
)
WITH_LOGIN = dataclasses.replace(VALUES, login=STORED)
WITH_STEPS = dataclasses.replace(VALUES, login=STEPS)


def files(contents: dict[str, bytes]) -> dict[str, TemplateFile]:
    return {path: TemplateFile(path, data) for path, data in contents.items()}


def rendered(template: str, values: RenderValues = VALUES) -> str:
    return render(files({"a.yaml": template.encode()}), values)["a.yaml"].decode()


def refused(template: str | bytes, values: RenderValues = VALUES) -> str:
    data = template if isinstance(template, bytes) else template.encode()
    with pytest.raises(InputError) as caught:
        render(files({"a.yaml": data}), values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("<< image >>", "quay.io/example/climate"),
        ("<< registry_host >> << image_name >> << default_branch >>", "quay.io example/climate main"),
        ('uses: << actions["checkout"] >>\n', f"uses: actions/checkout@{PIN.sha} # v1.2.3\n"),
        (
            "${{ secrets.NAME }} ${{ github.ref == 'x' && '<b>' }}",
            "${{ secrets.NAME }} ${{ github.ref == 'x' && '<b>' }}",
        ),
        ("a\n<# a comment #>\nb\n", "a\nb\n"),
        ("a\n  <% if username %>\nlogin\n  <% else %>\nnobody\n  <% endif %>\nb\n", "a\nnobody\nb\n"),
        ("<% raw %>cat <<EOF<% endraw %>", "cat <<EOF"),
        ("<% if default_branch == 'main' and not username %>yes<% endif %>", "yes"),
        ("no line end", "no line end"),
        ("two line ends\n\n", "two line ends\n\n"),
        ("of Windows\r\nand of old\r", "of Windows\nand of old\n"),
        ("", ""),
        ("ünïcode – 🛰\n", "ünïcode – 🛰\n"),
    ],
)
def test_values_and_conditions_are_written_in(template: str, expected: str) -> None:
    assert rendered(template) == expected


def test_a_login_is_written_where_there_is_one() -> None:
    template = "<% if username %><< username >> << password >><% endif %>"
    assert rendered(template, WITH_LOGIN) == "example+climate ${{ secrets.ROBOT_TOKEN }}"
    assert rendered(template, WITH_STEPS) == "${{ github.actor }} ${{ steps.login.outputs.password }}"
    assert rendered(template) == ""


LOOPS = """\
<% for one in permissions %>
<< one.name >>=<< one.access >>
<% endfor %>
<% for step in login_steps %>
<< step.name >>|<< step.id >>|<< step.uses >>
<% for input in step.inputs %>
<< step.id >>.<< input.name >>=<< input.value >>
<% endfor %>
<% endfor %>
"""


def test_the_lists_of_a_login_are_gone_through() -> None:
    assert rendered(LOOPS) == ""
    assert rendered(LOOPS, WITH_STEPS).splitlines() == [
        "id-token=write",
        f"Log in|login|{PIN}",
        "login.role=arn:aws:iam::1:role/a",
        "login.key=${{ secrets.ROBOT_TOKEN }}",
    ]


ESCAPES = [
    "<< ''.__class__.__mro__[1].__subclasses__() >>",
    "<< image.__class__ >>",
    "<< image.format(image) >>",
    "<< image['__class__'] >>",
    '<< actions["checkout"].__init__ >>',
    '<% if actions["x"]["y"] %><% endif %>',
    "<< self._TemplateReference__context >>",
    "<< cycler.__init__.__globals__.os >>",
    "<< lipsum >>",
    "<< range(3) >>",
    "<< image|attr('upper') >>",
    "<% include '/etc/passwd' %>",
    "<% extends '/etc/passwd' %>",
    "<% import 'os' as os %>",
    "<% from 'os' import system %>",
    "<% set image = 'x' %>",
    "<% macro image() %><% endmacro %>",
    "<% call image() %><% endcall %>",
    "<% block image %><% endblock %>",
]


@pytest.mark.parametrize("template", ESCAPES)
def test_what_reaches_beyond_the_values_is_refused_with_its_line(template: str) -> None:
    assert refused(f"name: x\n{template}\n").startswith("a.yaml:2:1: ")


@pytest.mark.parametrize(
    "template",
    [
        "<% for a in image %><% for b in image %>x<% endfor %><% endfor %>",
        "<% for a in login_steps %><% for b in login_steps %>x<% endfor %><% endfor %>",
        "<% for a in login_steps %><% for b in a.inputs %><% for c in a.inputs %>x<% endfor %><% endfor %><% endfor %>",
        "<% for a in login_steps recursive %><< loop(a.inputs) >><% endfor %>",
        "<% for a in login_steps %>" + "x" * (MAX_BYTES // 2) + "<% endfor %>",
        "<% for a in range(10 ** 12) %><% endfor %>",
        "<< 'a' * 10 ** 12 >>",
        "<< 10 ** 10 ** 10 >>",
        "<< image ~ image >>",
        "<% if " + "not " * 100_000 + "image %><% endif %>",
        "<% if " + "(" * 100_000 + "image" + ")" * 100_000 + " %><% endif %>",
        "<% if image" + " and image" * 10_000 + " %><% endif %>",
        "<% if image %>" * 5_000 + "<% endif %>" * 5_000,
        "<< " + "1" * 5_000 + " >>",
        "x" * (MAX_BYTES + 1),
        "<< image >>" * 20_000,
    ],
)
def test_what_could_run_for_ever_or_grow_without_bound_is_refused(template: str) -> None:
    three = tuple(dataclasses.replace(STEP, id=f"login{number}") for number in range(3))
    login = dataclasses.replace(STEPS, steps=three, password="x")
    long_name = dataclasses.replace(VALUES, image_name="a" * 255, login=login)
    assert "a.yaml" in refused(template, long_name)


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("a\n\n<< imag >>", 'a.yaml:3:1: no value is named "imag"; there are image, '),
        ("a\nb << username >>", "a.yaml:2:1: a value that is not set is written here; ask for it by <% if %>"),
        ('a\n<< actions["x/y"] >>', 'a.yaml:2:1: no commit is known for the action "x/y"'),
        ("a\n<< actions >>", 'a.yaml:2:1: actions is asked as actions["name"]'),
        ("a\n<< actions[image] >>", 'a.yaml:2:1: only actions["name"] is asked with brackets'),
        (
            "a\n<% for x in y %><% endfor %>",
            "a.yaml:2:1: a loop goes through permissions, login_steps or the inputs of",
        ),
        ("a\n<% set x = image %>", 'a.yaml:2:1: "assign" may not stand here: a template holds << values >>'),
        ("<< login_steps >>", "a.yaml:1:1: login_steps is a list: go through it with <% for %>"),
        ("<% if login_steps == 'x' %><% endif %>", "login_steps is a list"),
        ("<% for a in permissions %>\n<< a >>\n<% endfor %>", "a.yaml:2:1: a is asked as a.name"),
        (
            "<% for a in permissions %>\n<< a.values >>\n<% endfor %>",
            "a.yaml:2:1: an item of permissions has no 'values'",
        ),
        ("<% for a in permissions %><< a.inputs >><% endfor %>", "an item of permissions has no 'inputs'"),
        ("<% for a in login_steps %><< a.inputs >><% endfor %>", "inputs is a list: go through it"),
        ("<% for a in permissions %><% for b in a.inputs %><% endfor %><% endfor %>", "permissions has no 'inputs'"),
        ("<% for a in permissions %><% endfor %><< a.name >>", "only the item of a loop is asked with a point"),
        ("<% for image in permissions %><% endfor %>", 'a loop cannot call its item "image"'),
        ("<% for a in permissions if a.name %><% endfor %>", "a loop has neither a condition, nor"),
        ("<% for a in permissions %><% else %>x<% endfor %>", "a loop has neither a condition, nor"),
        ("<% for a, b in permissions %><% endfor %>", "a loop goes through"),
        ("<% for a in permissions %><< loop.index >><% endfor %>", "only the item of a loop is asked with a point"),
        ("cat <<EOF\nx", "what stands between <% raw %> and <% endraw %> is taken as it is"),
        ("<% if image %>", "a.yaml:1:1: Unexpected end of template"),
        ("<% if image in 'x' %><% endif %>", "a.yaml:1:1: a condition compares with == and !="),
        ("<% if 1e999 %><% endif %>", "a.yaml:1:1: the only constants are texts"),
        (r"<< '\ud800' >>", "a.yaml:1:1: the only constants are texts"),
        (b"a\xffb", "the template a.yaml is not UTF-8 (byte 1); a managed file is a text"),
    ],
)
def test_a_mistake_in_a_template_is_a_sentence_with_its_place(template: str | bytes, sentence: str) -> None:
    assert sentence in refused(template)


def test_a_diagnostic_marks_the_line_however_lines_end() -> None:
    with pytest.raises(InputError) as caught:
        render(files({"a.yaml": "ü\u2028ü\r\n  << x >>\r\nlast".encode()}), VALUES)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.range is not None
    assert (diagnostic.range.start.line, diagnostic.range.start.byte, diagnostic.range.end.column) == (2, 9, 10)
    assert diagnostic.snippet == "  << x >>"


def test_every_file_with_a_mistake_is_named_at_once() -> None:
    with pytest.raises(InputError) as caught:
        render(files({"a.yaml": b"<< x >>", "b.yaml": b"fine", "c.yaml": b"<< y >>"}), VALUES)
    assert [str(one)[:6] for one in caught.value.diagnostics] == ["a.yaml", "c.yaml"]


HOSTILE = [
    "",
    " ",
    "x\n",
    "x\nevil: true",
    'x"',
    "x'",
    "x: y",
    "x #",
    "x`id`",
    "x$(id)",
    "${{ secrets.TOKEN }}",
    "${{github.token}}",
    "<< image >>",
    "x;id",
    "x|id",
    "x&&id",
    "*x",
    "&x",
    "!x",
    "[x]",
    "{x}",
    "%x",
    "-x",
    "x\\",
    "x\x00",
    "x\u2028y",
    "\u0661",
    "x" * 300,
]
FIELDS = ["registry_host", "image_name", "default_branch"]


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_refused_before_anything_is_rendered(field: str, value: str) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(InputError, match="cannot be written into a workflow; right would be: "):
        dataclasses.replace(WITH_LOGIN, **changed)


HOSTILE_IN_A_LOGIN = [one for one in HOSTILE if one not in ("-x", "${{ secrets.TOKEN }}", "x" * 300)] + [
    "x" * 2000,
    "${{ secrets.ROBOT_TOKEN }} ",
    "${{ secrets.ROBOT_TOKEN }}${{ secrets.ROBOT_TOKEN }}",
    "${{ secrets.ROBOT_TOKEN || 'x' }}",
    "${{ secrets.ROBOT_TOKEN }}\nevil: true",
    "${{ secrets['ROBOT_TOKEN'] }}",
    "${{ toJSON(secrets) }}",
    "${{ github.event.head_commit.message }}",
    "${{ github.token }}",
    "${{ steps.login.outputs.a.b }}",
    "${{ env.PATH }}",
    "$" + "{{ secrets.ROBOT_TOKEN",
]
"""What means more than itself between quotation marks in YAML, or is an expression that no login needs."""


@pytest.mark.parametrize("value", HOSTILE_IN_A_LOGIN)
@pytest.mark.parametrize("field", ["username", "password", "input"])
def test_a_hostile_login_is_refused_before_anything_is_rendered(field: str, value: str) -> None:
    step = dataclasses.replace(STEP, inputs={"key": value})
    changed: dict[str, Any] = {"steps": (step,)} if field == "input" else {field: value}
    with pytest.raises(InputError, match="cannot be written into a workflow; right would be: "):
        dataclasses.replace(VALUES, login=dataclasses.replace(STEPS, **changed))


ODD_LOGINS: dict[str, dict[str, Any]] = {
    "asks for the secret OTHER, which the login does not store": {"password": "${{ secrets.OTHER }}"},
    "an output of the step later, which does not run before it": {"password": "${{ steps.later.outputs.a }}"},
    "two steps of the login have the id login": {"steps": (STEP, STEP)},
    "the permission 'contents'": {"permissions": {"contents": "write"}},
    "the permission 'a: b'": {"permissions": {"a: b": "write"}},
    "the access to packages 'admin'": {"permissions": {"packages": "admin"}},
    "9 permissions; 8 is the most": {"permissions": {f"a-{'x' * number}": "read" for number in range(1, 10)}},
    "the name of a secret 'GITHUB_X'": {"secrets": {"ROBOT_TOKEN": TOKEN, "GITHUB_X": TOKEN}},
    "9 steps; 8 is the most": {"steps": tuple(dataclasses.replace(STEP, id=f"login{one}") for one in range(9))},
    "17 inputs of the step login; 16 is the most": {
        "steps": (dataclasses.replace(STEP, inputs={f"a{one}": "x" for one in range(17)}),)
    },
    "the name of the login step login 'a: b'": {"steps": (dataclasses.replace(STEP, name="a: b"),)},
    "the id of a login step 'a.b'": {"steps": (dataclasses.replace(STEP, id="a.b"),)},
    "the name of an input of the login step login 'a b'": {"steps": (dataclasses.replace(STEP, inputs={"a b": "x"}),)},
    'no commit is known for the action "other"': {"steps": (dataclasses.replace(STEP, action="other"),)},
}


@pytest.mark.parametrize("sentence", ODD_LOGINS)
def test_a_login_that_cannot_work_is_a_sentence(sentence: str) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        dataclasses.replace(VALUES, login=dataclasses.replace(STEPS, **ODD_LOGINS[sentence]))


def test_the_token_of_the_job_needs_not_be_stored() -> None:
    login = Login("${{ github.actor }}", "${{ secrets.GITHUB_TOKEN }}", permissions={"packages": "write"})
    assert rendered("<< password >>", dataclasses.replace(VALUES, login=login)) == "${{ secrets.GITHUB_TOKEN }}"


TEMPLATE = """\
on: {push: {branches: ["<< default_branch >>"]}}
jobs:
  build:
    if: github.ref == 'refs/heads/<< default_branch >>'
    steps:
<% for step in login_steps %>
      - name: "<< step.name >>"
        uses: << step.uses >>
        with:
<% for input in step.inputs %>
          << input.name >>: "<< input.value >>"
<% endfor %>
<% endfor %>
      - uses: << actions["checkout"] >>
        with: {HOST: "<< registry_host >>", NAME: "<< image_name >>"}
<% if username %>
        env: {USER: "<< username >>", PASSWORD: "<< password >>"}
<% endif %>
"""
ODD = st.text(alphabet="aZ09._-/:@#'\"\\\n\r \t{}[]$<>%&*!|`~,?=()\x00\x85\u2028é", max_size=12)
LIKELY = st.from_regex(r"[A-Za-z0-9_./:-]{1,20}", fullmatch=True)


@given(st.tuples(*[ODD | LIKELY] * 6))
@example(("localhost:5000", "a/b__c", "release/1.0", "-", "_b", "="))
@example(("1", "1", "1.0", "NO", "on", "${{ github.actor }}"))
def test_whatever_is_let_through_changes_one_text_and_nothing_else(given: tuple[str, ...]) -> None:
    host, name, branch, username, password, value = given
    step = dataclasses.replace(STEP, inputs={"key": value})
    try:
        login = Login(username, password, {}, {}, (step,))
        values = RenderValues(host, name, branch, {"checkout": PIN}, login)
    except InputError:
        return
    document = yaml.safe_load(rendered(TEMPLATE, values))
    job = document["jobs"]["build"]
    uses = f"{PIN.name}@{PIN.sha}"
    assert document[True] == {"push": {"branches": [branch]}}
    assert job["if"] == f"github.ref == 'refs/heads/{branch}'"
    assert job["steps"] == [
        {"name": step.name, "uses": uses, "with": {"key": value}},
        {"uses": uses, "with": {"HOST": host, "NAME": name}, "env": {"USER": username, "PASSWORD": password}},
    ]
    assert all(re.fullmatch(r"[A-Za-z0-9_./:-]+", one) for one in given[:3])


PARTS = [
    *(
        "<<",
        ">>",
        "<%",
        "%>",
        "<#",
        "#>",
        " if ",
        " else ",
        "endif",
        "raw",
        "endraw",
        " image ",
        "actions",
        " for a in ",
        "login_steps",
        "endfor",
        "a.inputs",
        "${{",
        "é",
    ),
    *('["', '"]', "'", "\\", "(", ")", ".", "|", "==", " not ", "1", "e9", "\n", "\r\n"),
]


@given(st.lists(st.sampled_from(PARTS), max_size=12).map("".join) | st.text(max_size=30))
def test_any_template_gives_bytes_or_a_sentence_and_the_same_ones_again(template: str) -> None:
    data = template.encode(errors="replace")
    try:
        first = render(files({"a.yaml": data}), VALUES)
    except InputError:
        return
    assert render(files({"a.yaml": data}), VALUES) == first


@pytest.mark.parametrize("name", ["x", "a/b c", "a/b@c", "../x", "a/b\n", "a/b#c"])
def test_a_pin_is_an_action_at_a_whole_commit(name: str) -> None:
    with pytest.raises(InputError):
        Pin(name, "v1", PIN.sha)
    for ref, sha in [("v1\n- run: x", PIN.sha), ("v1", PIN.sha[:12]), ("v1", "v4"), ("v1", PIN.sha.upper())]:
        with pytest.raises(InputError, match="of actions/checkout"):
            Pin("actions/checkout", ref, sha)
