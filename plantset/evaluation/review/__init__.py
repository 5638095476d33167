"""A person looks at the doubtful photos: which ones first, and the page on which they decide. No torch."""
