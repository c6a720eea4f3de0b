"""The dispatch engine. Pure: arrays and values in, arrays and values out."""
