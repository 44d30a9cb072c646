"""lsr inside other frameworks: a file each, over the front door, which knows none of them.

    from lsr.integrations.langchain import LsrRetriever

Each needs the package of its framework, by an extra of its name.
"""
