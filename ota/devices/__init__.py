"""Devices: the registry, groups, the census of active devices, the timeline of one device."""
