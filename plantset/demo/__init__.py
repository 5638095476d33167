"""Made-up leaves whose lesions are known, and the demo that walks them through every stage. No torch here."""
