"""What the parties agree on, and the machinery on which their services stand. It knows no service and no party."""
