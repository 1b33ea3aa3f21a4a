"""Who may receive what, and why: a pure function of facts, directory and policy.

    directory_index  who and where the parties are, whose a key or a name is   standard library only
    facts, terms     the facts as they are judged; what several permits ask    standard library only
    policy_index     the rules, compiled and indexed                           standard library only
    engine           facts + directory + policy -> edges                       standard library only
    explain          what every rule did, or why it did nothing                standard library only
    decide, derive   the engine in terms of the contracts; what a recipient checks
    shelf            the documents by digest, and when each was active
    documents        who approved a document
    whatif           preview, replay and dry run

The upper half reads exported JSON as it is, so any Python can replay a decision without this project's
dependencies. Import from the modules: this package itself imports nothing, to keep that true.
"""
