"""What every layer stands on: errors, records, photos, files, options. No torch here."""
