"""Learned sparse encoders: query table, document network, lexical terms, and their files."""
