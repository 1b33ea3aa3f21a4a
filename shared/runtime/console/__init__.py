"""The web door's frame: pages made on the server, who has signed in, and forms that a stylesheet and a few lines help.

Templates are filled with what use cases return. A page needs no script; nothing on it is fetched from elsewhere.
"""
