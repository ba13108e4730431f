"""Figures, tables and the written report, from run directories alone."""
