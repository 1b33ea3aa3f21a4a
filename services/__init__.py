"""The parties' servers, one package for each kind of party. They never import each other: they meet in `shared`."""
