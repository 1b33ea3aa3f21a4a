"""The stored questions and disputes, and their deadline. `questions` has the acts on them."""
