"""Metadata in memory: columns of fields, and filters, facets and orders over them."""
