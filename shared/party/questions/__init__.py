"""Questions and disputes about items, stored by the recipient that raised them and by the origin that answers."""
