"""Training learned sparse encoders from a config: `lsr train`, `lsr adapt`.

TrainConfig ─> TrainingData (rows, tokens, idf) and teachers ─> BatchPlan
─> StepDataset (features, targets) ─> CandidateLoss ─> LsrTrainer ─> model folder,
which `lsr.encoders.learned` and sentence-transformers load
"""
