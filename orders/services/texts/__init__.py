"""Every text that the database keeps: what stands in it, and how what names a person is taken out of it.

`registry` says of each column which kind it is, `person` how a person's words are found in a text, `masking` walks all
of it. A column that the registry does not know fails a test (tests/architecture/test_texts.py), because a text that is
forgotten here keeps a name for ever.
"""
