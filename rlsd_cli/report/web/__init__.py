"""REPORT.html: one page that needs no other file and no network, with verdicts, curves, samples and tables."""
