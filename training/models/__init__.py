"""Networks and heads of sparse encoders, made from a config and saved."""
