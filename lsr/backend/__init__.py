"""Collections in parts: shards that answer rounds of a search, and a router that is one collection.

query ─ ShardedCollection ─ Shards ─> Shard.search ─> Candidates ─ HybridSearcher ─ Shard.documents
"""
