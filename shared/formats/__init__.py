"""What others speak, written from what the exchange has; each page of docs says what is lost. Pure."""
