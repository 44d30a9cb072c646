"""The search page: its forms, its views of an answer, its templates."""
