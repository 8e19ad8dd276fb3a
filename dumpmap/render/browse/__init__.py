"""How `browse` looks: on a screen with Textual, and line by line in a prompt."""
