"""The console's frame: server-rendered pages, sign-in, sessions and forms.

Templates show the results of use cases. A page works without a script and loads nothing from another host.
"""
