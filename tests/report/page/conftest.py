"""The browser that opens the pages."""

from support.browser import browser

__all__ = ["browser"]
