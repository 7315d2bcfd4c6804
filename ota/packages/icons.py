def png_of(raw):
    return raw
