"""What Step-Audio-R1 writes, read back: its thinking, its answer and its tool calls."""
