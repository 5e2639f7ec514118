"""What a user asked for: sessions, from the request to the last log line."""
