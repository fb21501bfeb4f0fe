"""Tests of the stand-in partners, against the real process over real HTTP."""
