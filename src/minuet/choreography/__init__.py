"""The choreography as data: read off the services, written as JSON, drawn, asked what is awaited."""
