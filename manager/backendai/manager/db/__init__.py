"""Tables, migrations and connections of the manager's database."""
