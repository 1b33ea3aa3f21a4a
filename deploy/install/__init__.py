"""What starts an instance where no development stack is: units, containers, and what they install."""
