"""Routes of browsers into apps, as their owners see and close them; app proxies make them."""
