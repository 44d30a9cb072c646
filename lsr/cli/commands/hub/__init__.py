"""`lsr push` and `lsr pull`: indexes and models to and from the Hugging Face hub."""
