"""A collection of a Qdrant server as a shard: Qdrant keeps and finds, the router answers.

index folder ─ migrate ─> NAME, NAME--lsr ─ QdrantShard ─ ShardedCollection ─> answers of the index
"""
