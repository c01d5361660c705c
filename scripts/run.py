"""The single entry of Noria; the same as the command `noria`."""

from noria.cli.main import entry

if __name__ == "__main__":
    entry()
