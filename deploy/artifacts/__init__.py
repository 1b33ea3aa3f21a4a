"""Generators of committed files: schemas, examples, AsyncAPI, OpenAPI and pages."""
