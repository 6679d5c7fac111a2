"""Reads out of a refusal what can be left out of the request: an optional parameter, the images, or the schema."""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentd.providers.base import CompletionRequest
from agentd.providers.faults import Fault

__all__ = [
    "IMAGES",
    "SCHEMA",
    "parse_refused_parameter",
    "refuses_images",
    "refuses_schema",
    "sees_no_images",
    "takes_no_schema",
]

IMAGES = "images"
"""Stands among the refused parameters for a model that does not look at images."""

SCHEMA = "schema"
"""Stands among the refused parameters for a model that is not held to the form of its reply."""

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

_ABOUT_SCHEMA = re.compile(
    r"response_?format|json[_ -]?schema|output_?(?:config|format)|structured[_ -]?outputs?|\bgrammar\b", re.IGNORECASE
)
"""How servers refuse a schema: by the parameter's name (DeepSeek, Groq, xAI, Vertex), by what it is for (OpenAI,
OpenRouter, Anthropic), or by what they would make of it (llama.cpp)."""

_FORM_FAILED = "json_validate_failed"
"""Groq's name for a reply that did not keep to the form: the model's fault, and in this reply alone."""

_REFUSAL_STATUS = frozenset({400, 404, 415, 422, 500, 501})
"""A refusal of what was asked; a limit of calls, of size or of rights is none, whatever the model is called."""

_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't) support|unrecogni[sz]ed|unknown|unexpected|deprecated"
    r"|not (?:permitted|allowed)|extra_forbidden|only the default",
    re.IGNORECASE,
)


def refuses_images(fault: Fault, request: CompletionRequest, refused: frozenset[str]) -> bool:
    """Tell whether a request was refused for its images, be it all images or just these."""
    has_images = IMAGES not in refused and any(message.images for message in request.messages)
    return has_images and fault.status in _REFUSAL_STATUS and bool(_ABOUT_IMAGES.search(fault.message))


def sees_no_images(fault: Fault) -> bool:
    """Tell whether the model, or its server, looks at no image at all."""
    return bool(_SEES_NONE.search(fault.message))


def refuses_schema(fault: Fault, request: CompletionRequest, refused: frozenset[str]) -> bool:
    """Tell whether a request was refused for the form that its reply should have."""
    if request.schema is None or SCHEMA in refused or fault.status not in _REFUSAL_STATUS:
        return False
    return _FORM_FAILED in fault.names or bool(_ABOUT_SCHEMA.search(f"{fault.parameter} {fault.message}"))


def takes_no_schema(fault: Fault) -> bool:
    """Tell whether no other request with a schema will fare better."""
    return _FORM_FAILED not in fault.names


def parse_refused_parameter(fault: Fault, optional: Sequence[str], refused: frozenset[str]) -> str | None:
    """Return which optional parameter the model does not know, if that is why it refused and we can do without it."""
    if fault.status not in {400, 422} or not _UNSUPPORTED.search(" ".join((*fault.names, fault.message))):
        return None
    words = re.findall(r"\w+", fault.parameter or fault.message)
    return next((name for name in optional if name not in refused and name in words), None)
