"""The command line: one file a command; words, tables, progress, exit codes, and nothing else."""
