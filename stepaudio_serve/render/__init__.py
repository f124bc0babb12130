"""Renderers: the same plan as text for other tools."""
