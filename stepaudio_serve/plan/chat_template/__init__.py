"""Chat templates: the text the model sees for a conversation, and whether a template makes it well.

Importing this package does not import Jinja; rendering and checking do, when called.
"""

from __future__ import annotations

from .checking import check
from .rendering import render
from .source import BUILTIN, ChatTemplate, ContentFormat, load_template

__all__ = ["BUILTIN", "ChatTemplate", "ContentFormat", "check", "load_template", "render"]
