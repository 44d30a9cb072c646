"""Collections that are fed while they are searched: a log of operations, followed and published.

Operation ─ Committer ─> log ─ Feeder ─> vectors in the log ─ Buffer ─> view
log ─ publish ─> generation ─ follow ─> view
"""
