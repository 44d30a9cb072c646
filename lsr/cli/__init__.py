"""The command line: parsing and printing only, above all other packages.

Results go to standard output; progress, notes and errors go to standard error. Exit codes: 0
done, 1 `index verify` found damage, 2 wrong input or something the machine refused (one sentence
on standard error says what), 130 interrupted.
"""

from lsr.cli.app import main

__all__ = ["main"]
