"""Passages of long documents: the parts that a network reads one by one."""
