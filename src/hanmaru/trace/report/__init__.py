"""The investigation's report as a PDF."""
