"""The engine, and the collections it keeps on disk.

`collection` has documents beside vectors; `sparse_index` vectors alone. Under them `indexer` builds
blocks, `search` chooses how to search, `kernels` is compiled code, `blocks` the structure after
Seismic, `storage` bytes on disk: NumPy, Numba, filelock and the standard library only.
"""
