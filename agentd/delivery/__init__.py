"""Getting a reply to the person, and knowing that it arrived."""
