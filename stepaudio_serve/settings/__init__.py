"""What the user wants: each setting declared once, gathered from flags, environment, files and profiles."""
