"""Who may receive what, and why: a pure function of facts, directory and policy.

    directory_index  who and where the parties are                         standard library only
    policy_index     the rules, compiled and indexed                       standard library only
    engine           facts + directory + policy -> edges, the same bytes on every Python
    explain          why each rule decided or did not; replay and dry run  standard library only
    decide, derive   the engine in terms of the contracts; what a recipient checks
    shelf            the documents by digest, and when each was active

The upper four read exported JSON as it is, so any Python can replay a decision without this project's
dependencies. Import from the modules: this package itself imports nothing, to keep that true.
"""
