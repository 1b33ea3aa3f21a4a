"""The stream protocol under random faults: the code of `shared.messaging` over the store in memory."""
