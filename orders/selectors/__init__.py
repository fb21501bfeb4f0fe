"""Reads for the pages: plain values out of few queries, never a row that a template can query on."""
