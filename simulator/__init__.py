"""A microscope in software: specimen, through-focus optics, camera and stage mechanics."""
