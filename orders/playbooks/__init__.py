"""Playbooks as documents: what a procedure may say, free of Django, so that workflows can read it."""
