"""Tests of the HTML report: the page as text, and the page in a browser."""
