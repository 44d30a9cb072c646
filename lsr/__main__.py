"""`python -m lsr` is the command `lsr`: what launchers of several processes start."""

from lsr.cli import main

if __name__ == "__main__":
    main()
