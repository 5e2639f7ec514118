"""Everything on one machine: embedded stores, a supervisor and the `up` family of commands."""
