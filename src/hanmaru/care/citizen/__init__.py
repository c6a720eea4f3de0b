"""The citizen's own view: report, trends, goals, consents."""
