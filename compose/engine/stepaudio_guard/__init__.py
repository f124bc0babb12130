from .guard import Guard as Guard
