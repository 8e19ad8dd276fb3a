"""Showing a result: tables, JSON, HTML, other tools' formats."""
