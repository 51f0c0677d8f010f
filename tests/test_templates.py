"""The built-in template and the rendering of managed files: judged by the published schema and by zizmor."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.errors import ProviderError
from fleet.render import Values, actions, read_template, render

MANAGED = [".github/workflows/build.yaml", ".github/workflows/test.yaml"]
VALUES = Values("quay.io", "example/climate-image", "example+climate-image", "QUAY_PASSWORD")
BIN = Path(sys.executable).parent


@pytest.fixture
def rendered(tmp_path: Path) -> Path:
    """A repository with the rendered workflows."""
    for path, data in render(read_template("builtin:user-image", tmp_path, MANAGED), VALUES).items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return tmp_path


def test_the_workflows_keep_the_published_schema(rendered: Path) -> None:
    done = subprocess.run(
        [BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *MANAGED],
        cwd=rendered, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_finds_nothing_of_medium_severity_or_above(rendered: Path) -> None:
    done = subprocess.run(
        [BIN / "zizmor", "--offline", "--no-progress", "--min-severity=medium", "--persona=regular", *MANAGED],
        cwd=rendered, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_action_is_pinned_by_the_one_table(rendered: Path) -> None:
    pins = {f"{entry['action']}@{entry['sha']} # {entry['tag']}" for entry in actions().values()}
    used = {use for path in MANAGED for use in re.findall(r"uses: (.+)", (rendered / path).read_text())}
    assert used
    assert used <= pins
    template = Path(str(__import__("fleet.templates").templates.__path__[0]))
    for file in template.rglob("*"):
        if file.is_file() and file.name != "actions.toml" and file.suffix != ".pyc":
            assert not re.search(r"\b[0-9a-f]{40}\b", file.read_text()), file


def test_pull_requests_see_no_credential(rendered: Path) -> None:
    text = (rendered / MANAGED[1]).read_text()
    assert "secrets." not in text
    assert 'NO_PUSH: "true"' in text
    assert "LATEST_TAG_OFF" not in text


@given(st.text(min_size=1))
def test_no_value_can_end_a_line_or_a_string(value: str) -> None:
    try:
        (text,) = render({"w": b'a: "<< username >>"\n'}, Values("r", "i", value, "S")).values()
    except ProviderError:
        return
    assert text.decode() == f'a: "{value}"\n'
    assert "\n" not in value
    assert '"' not in value


HOSTILE = {
    "<< ''.__class__.__mro__ >>": "cannot be rendered",
    "<< nothing >>": "cannot be rendered",
    "<% for x in range(99999999) %>x<% endfor %>": "cannot be rendered",
    "<< unclosed": "cannot be rendered, line 1",
    "<% include '/etc/passwd' %>": "cannot be rendered",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_template_that_reaches_out_is_refused(text: str) -> None:
    with pytest.raises(ProviderError, match=HOSTILE[text]):
        render({"w.yaml": text.encode()}, VALUES)


@pytest.mark.parametrize(
    ("origin", "path", "words"),
    [
        ("builtin:nothing", "a", "there is no template builtin:nothing"),
        ("./nowhere", "a", "there is no template ./nowhere"),
        ("builtin:user-image", "missing.txt", "has no file missing.txt"),
        ("./mine", "link", "leads out of it"),
    ],
)
def test_a_template_that_cannot_be_read_is_a_sentence(tmp_path: Path, origin: str, path: str, words: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "secret").write_text("x")
    (tmp_path / "mine/link").symlink_to(tmp_path / "secret")
    with pytest.raises(ProviderError, match=words):
        read_template(origin, tmp_path, [path])


def test_githubs_own_expressions_are_left_alone() -> None:
    text = b"${{ secrets.A }} {% raw %} {{ x }}\n"
    assert render({"w": text}, VALUES) == {"w": text}
