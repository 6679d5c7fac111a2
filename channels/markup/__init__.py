"""This package parses a reply's Markdown into rich text, and cuts that into pieces that a platform's messages take."""
