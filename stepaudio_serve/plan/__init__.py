"""The plan: a pure function of settings and facts."""
