"""Playbooks: written and published (`publishing`), started and driven by people (`running`), followed by the engine."""
