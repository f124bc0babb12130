"""Checks: findings over facts and a plan, before anything is started."""
