"""What a reply looks like: Markdown read once, cut where it reads best, and shown as each platform can."""
