"""Our books against the payment gateway's: one comparison for the sweep, the day-end close and `verify_invariants`.

`ours` is what our rows and our ledger say, a page of orders at a time; `comparing` holds it against entries of the
gateway's lists; `witnesses` are the outside books that `checking` asks for all orders at once.
"""
