"""The pages of the documentation: their commands, their pictures, and the site: `python -m tests.pages` (make site)."""
