"""Every version of a model that was ever promoted or refused, and which of them is the champion."""
