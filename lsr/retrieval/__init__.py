"""Searches over two sides: plan, fusion, feedback and explanation, above any engine."""
