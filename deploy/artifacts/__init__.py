"""What is generated from the code and committed: schemas, examples, AsyncAPI, OpenAPI and the message page."""
