"""What browsers and clients ask for with tokens: uploads, downloads, archives."""
