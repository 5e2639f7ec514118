"""Who may use the cluster: domains, projects, users and their keypairs."""
