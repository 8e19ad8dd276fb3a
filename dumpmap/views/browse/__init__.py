"""What `browse` walks through, as data: no screen, no keys."""
