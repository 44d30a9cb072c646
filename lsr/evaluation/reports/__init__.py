"""Evaluation results for people: tables, Markdown, LaTeX, CSV, a plot."""
