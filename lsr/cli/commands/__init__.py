"""Commands, a file each, of the command's name."""
