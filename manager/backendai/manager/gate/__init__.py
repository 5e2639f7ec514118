"""The door: who asks, may they, how often; and how every answer leaves."""
