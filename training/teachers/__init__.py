"""Teachers: what the student's scores of a batch are compared with."""
