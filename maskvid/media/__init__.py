"""Videos, pictures and arrays as they lie on disk, to frames: what every room above reads them by."""
