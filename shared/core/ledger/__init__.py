"""The format of the verifiable log: the RFC 6962 tree and its proofs. Pure; standard library only."""
