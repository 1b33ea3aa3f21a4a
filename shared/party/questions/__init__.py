"""Questions and disputes beside what they are about, at whoever raised them and at the origin that is to answer."""
