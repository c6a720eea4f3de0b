"""What acts without a person: API keys and OAuth 2 clients, their access tokens, and how they are administered."""
