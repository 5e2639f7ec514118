"""GraphQL: a second renderer over the same stores, from the committed `schema.graphql`."""
