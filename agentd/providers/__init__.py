"""Talks to language models behind one port: a prompt goes in, pieces of text come out."""
