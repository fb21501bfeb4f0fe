"""Stand-in partners over real HTTP: payments, carrier, fraud scores and exchange rates.

They exist so that the product talks to its partners over a socket from the first day, and so that money tests have a
witness outside the product: a process of its own, with a store of its own, that no bug of ours can talk into agreeing.
Run it with `python -m simulator --host 127.0.0.1 --port 8200 --store simulator.sqlite3`. Standard library only.
"""
