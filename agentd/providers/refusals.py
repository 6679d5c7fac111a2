"""Reads out of a refusal what can be left out of the request: an optional parameter, or the images."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentd.providers.base import CompletionRequest
from agentd.providers.faults import Fault

__all__ = ["IMAGES", "parse_refused_parameter", "refuses_images", "sees_no_images"]

IMAGES = "images"
"""Stands among the refused parameters for a model that does not look at images."""

_ABOUT_IMAGES = re.compile(
    r"\bimage|\bvision\b|multi-?modal|content must be a string|valid string|expected (?:a )?string|mmproj",
    re.IGNORECASE,
)
"""How servers refuse images: OpenAI and OpenRouter name them, older ones want a text, llama.cpp misses a projector."""

_SEES_NONE = re.compile(
    r"(?:not|n't|no)\b.{0,40}\bsupport\w*\b.{0,40}\b(?:image|vision|multi-?modal)"
    r"|(?:image|vision|multi-?modal)\w*\b.{0,40}\b(?:is|are) not (?:supported|available|enabled)"
    r"|only supported by certain models|content must be a string|valid string|expected (?:a )?string|mmproj",
    re.IGNORECASE,
)
"""Of those, the words that are not about one image."""

_IMAGE_STATUS = frozenset({400, 404, 415, 422, 500, 501})
"""A refusal of what was asked; a limit of calls, of size or of rights is none, whatever the model is called."""

_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't) support|unrecogni[sz]ed|unknown|unexpected|deprecated"
    r"|not (?:permitted|allowed)|extra_forbidden|only the default",
    re.IGNORECASE,
)


def refuses_images(fault: Fault, request: CompletionRequest, refused: frozenset[str]) -> bool:
    """Tell whether a request was refused for its images, be it all images or just these."""
    has_images = IMAGES not in refused and any(message.images for message in request.messages)
    return has_images and fault.status in _IMAGE_STATUS and bool(_ABOUT_IMAGES.search(fault.message))


def sees_no_images(fault: Fault) -> bool:
    """Tell whether the model, or its server, looks at no image at all."""
    return bool(_SEES_NONE.search(fault.message))


def parse_refused_parameter(fault: Fault, optional: Sequence[str], refused: frozenset[str]) -> str | None:
    """Return which optional parameter the model does not know, if that is why it refused and we can do without it."""
    if fault.status not in {400, 422} or not _UNSUPPORTED.search(" ".join((*fault.names, fault.message))):
        return None
    words = re.findall(r"\w+", fault.parameter or fault.message)
    return next((name for name in optional if name not in refused and name in words), None)
