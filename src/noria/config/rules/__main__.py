"""`python -m noria.config.rules` prints what docs/rules.md holds. Knows no rule by name."""

from noria.config.rules import table

HEADER = "<!-- Made by `python -m noria.config.rules > docs/rules.md` from the rules' docstrings. -->"
INTRODUCTION = """# What a config may not combine

Every config is checked before anything is loaded. First each key against the signature of its target (unknown
keys, wrong types, values out of range, missing ones), then these rules.
"""


def page() -> str:
    """The whole page."""
    return f"{HEADER}\n\n{INTRODUCTION}\n{table()}"


if __name__ == "__main__":
    print(page(), end="")
