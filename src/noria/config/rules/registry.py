"""The list of rules. A rule is a function of the config and the machine; this file knows none of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from noria.common.hardware import Machine

Rule = Callable[[dict[str, Any], Machine], str | None]

RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Registers a rule. Its docstring is its line in the documentation."""
    name = function.__name__
    assert name not in RULES, f"two rules are named {name}"
    assert function.__doc__, f"the rule {name} has no docstring"
    RULES[name] = function
    return function


def broken(config: dict[str, Any], machine: Machine) -> list[str]:
    """What the rules have against a resolved config whose keys and types are right."""
    return [message for check in RULES.values() if (message := check(config, machine))]


def table() -> str:
    """All rules as a Markdown table."""
    lines = ["| rule | when it refuses |", "|---|---|"]
    for name, check in RULES.items():
        lines.append(f"| {name.replace('_', ' ')} | {' '.join((check.__doc__ or '').split())} |")
    return "\n".join(lines) + "\n"
