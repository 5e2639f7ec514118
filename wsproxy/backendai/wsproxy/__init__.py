"""The app proxy: lets browsers into the apps of sessions."""
