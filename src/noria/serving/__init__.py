"""An artifact, or the champion of a registry, behind HTTP."""
