"""Tests of `lsr.passages`."""
