"""The servers of the parties, one package for each kind of party. They share `shared` and never import each other."""
