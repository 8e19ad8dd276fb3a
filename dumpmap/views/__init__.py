"""What each command shows, made from finished values.

One module per command. Each offers a document (JSON), a table (CSV), and blocks (text and Markdown); `dumpmap.render`
writes them.
"""
