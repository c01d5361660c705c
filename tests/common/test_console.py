"""Texts of users reach the terminal as texts: never as Rich's markup, never as something that steers it."""

from __future__ import annotations

import csv
import io
import logging
import re

import pytest
import rich
from rich.live import Live
from rich.table import Table
from rich.text import Text

from noria.cli.ending import ending, say
from noria.common.console import PlainConsole, get_console, set_up_logging
from noria.common.errors import UserError
from noria.common.visible import visible

MARKUP = ["[/INST]", "[nan, nan]", "[bold]x", "[red]", "[link=https://a.b]c[/link]", "\\[x]", ":cat:", "[/]"]
STEERING = ["\x1b[31m", "\x1b]0;title\x07", "\r", "\x08", "\x9b2J", "\u202e", "\udc41", "\x00", "\x7f"]


def console(**options) -> PlainConsole:
    return PlainConsole(file=io.StringIO(), width=100, color_system=None, **options)


@pytest.mark.parametrize("text", MARKUP)
def test_markup_in_a_text_is_shown_as_it_is(text):
    shown = console()
    shown.print(text)
    shown.print(f"before {text} behind", style="yellow", highlight=False)
    table = Table(text, title=text)
    table.add_row(text)
    shown.print(table)
    assert shown.file.getvalue().count(text) == 5


@pytest.mark.parametrize("text", STEERING)
def test_what_steers_a_terminal_is_made_visible(text):
    shown = console()
    shown.print(text)
    shown.print(Text(f"a{text}b"))
    table = Table("head")
    table.add_row(f"a{text}b")
    shown.print(table)
    said = shown.file.getvalue()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", said)
    said.encode()
    assert "␛" in said or "\x1b" not in text


def test_a_tab_and_new_lines_stay():
    assert visible("a\tb\nc é 日 👍") == "a\tb\nc é 日 👍"


def test_bars_and_tables_that_move_still_do():
    shown = PlainConsole(file=io.StringIO(), width=60, force_terminal=True)
    with Live(Text("one"), console=shown, auto_refresh=False) as live:
        live.update(Text("two"), refresh=True)
    assert "\x1b[" in shown.file.getvalue()  # Rich's own control sequences


def test_there_is_one_console_for_us_and_for_lightning():
    ours = get_console()
    rich.reconfigure(width=90)  # what Lightning's bar does
    assert rich.get_console() is ours is get_console()  # noqa: TID251
    assert isinstance(ours, PlainConsole)


def test_log_lines_hold_texts_of_users():
    shown = console()
    before = logging.getLogger().handlers
    try:
        set_up_logging(shown)
        logging.getLogger("noria").info("read %s", "[/INST]\x1b[2J")
    finally:
        logging.getLogger().handlers = before
    assert "read [/INST]␛[2J" in shown.file.getvalue()


def test_how_a_command_ends_is_said_as_text_also_where_it_is_piped(capsys):
    status, message = ending(UserError("no label '\x1b]0;title\x07'"))
    say(message, status)
    ending(ValueError("row \x1b[2J"))  # with its traceback
    said = capsys.readouterr().err
    assert "no label '␛]0;title␇'" in said and "row ␛[2J" in said and "\x1b" not in said


def test_a_fit_with_markup_in_its_paths_and_labels(noria, tiny, reviews, tmp_path, capsys):
    table = tmp_path / "odd [b].csv"
    names = {"good": "[/INST]", "bad": "[nan, nan]\x1b[2J"}
    with reviews.open(newline="") as read, table.open("w", newline="") as written:
        rows = [[f"[/b] {text}", names[label]] for text, label in list(csv.reader(read))[1:]]
        csv.writer(written).writerows([["text", "label"], *rows])
    assert noria(*tiny, f"data.path='{table}'", "paths.runs='runs[/b]'", "data.limit=60") == 0
    said = capsys.readouterr().out
    assert "labels: [/INST], [nan, nan]␛[2J" in said and "\x1b[2J" not in said
    assert "runs[/b]/" in said
