"""Export formats of other systems, written from data of the exchange.

The docs list the omissions of each. Pure.
"""
