"""Answers as people see them: in a few lines, as HTML in a notebook, and as rows of a table."""
