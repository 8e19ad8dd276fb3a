"""What each command shows, made from finished values; one module per command."""
