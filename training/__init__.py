"""Training learned sparse encoders from a config: `lsr train`, `lsr adapt`.

TrainConfig ─> Material (rows, tokens, idf) and teachers ─> BatchPlan ─> Steps (features, targets)
─> CandidateLoss ─> LsrTrainer ─> model folder, which `lsr.encoders.learned.encoder` and
sentence-transformers load
"""
