"""What a text says, as far as words can be compared: stems, lemmas, stop words, dates."""
