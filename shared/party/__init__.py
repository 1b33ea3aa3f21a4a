"""What every party's service has: an origin's filing, a recipient's inbox. Over the machinery, under the services."""
