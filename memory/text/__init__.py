"""This package turns texts into comparable words: stems, lemmas, stop words and dates."""
