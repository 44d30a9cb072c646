"""Measures of retrievers on judged collections: systems, comparisons, tuning, reports."""
