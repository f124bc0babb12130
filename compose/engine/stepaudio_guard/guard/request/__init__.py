"""What a request becomes: read, checked, made harmless, its audio decoded and cut."""
