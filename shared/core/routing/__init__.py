"""Routing: recipients and reasons as a pure function of facts, directory and policy.

    directory_index  parties, their places, and owners of keys and names       standard library only
    facts, terms     the facts for judging; the combined terms of permits      standard library only
    policy_index     the rules, compiled and indexed                           standard library only
    engine           facts + directory + policy -> edges                       standard library only
    explain          the effect of every rule, or the reason for none          standard library only
    derive           a recipient's check of an edge
    documents        the documents by digest, their approvals and activations
    whatif           preview, replay and dry run

The upper half reads exported JSON, so any Python can replay a decision without this project's dependencies. To keep
this true, the package itself imports nothing: import from its modules.
"""
