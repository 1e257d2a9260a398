"""Families of supernets, one file or folder each."""
