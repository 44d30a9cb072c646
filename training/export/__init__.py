"""Trained models in other forms: ONNX, eight bits, OpenSearch, Anserini, an idf table."""
