"""What becomes of the engine's answer: thinking told from answer, streaming and not; transcripts."""
