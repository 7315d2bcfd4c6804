"""Builds: uploads, the pipeline that reads and stores them, versions and their release notes."""
