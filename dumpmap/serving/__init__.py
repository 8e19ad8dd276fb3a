"""Answers for a program that asks: the tools of `dumpmap mcp`, over the Model Context Protocol.

A tool takes plain arguments and returns a document of bounded size. Only `server` knows the protocol and its SDK; the
other modules work, and are tested, without it.
"""
