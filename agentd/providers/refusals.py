"""Reads from a server's refusal what to leave out of the request: an optional parameter, the images, or the schema."""

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
"""Among the refused parameters, stands for the images, for a model without vision."""

SCHEMA = "schema"
"""Among the refused parameters, stands for the schema, for a server that cannot enforce one."""

_ABOUT_IMAGES = re.compile(
    r"\bimage|\bvision\b|multi-?modal|content must be a string|valid string|expected (?:a )?string|mmproj",
    re.IGNORECASE,
)
"""How servers refuse images: OpenAI and OpenRouter name them, older ones demand text, llama.cpp lacks a projector."""

_SEES_NONE = re.compile(
    r"(?:not|n't|no)\b.{0,40}\bsupport\w*\b.{0,40}\b(?:image|vision|multi-?modal)"
    r"|(?:image|vision|multi-?modal)\w*\b.{0,40}\b(?:is|are) not (?:supported|available|enabled)"
    r"|only supported by certain models|content must be a string|valid string|expected (?:a )?string|mmproj",
    re.IGNORECASE,
)
"""Those of the wordings that concern all images, not a single one."""

_ABOUT_SCHEMA = re.compile(
    r"response_?format|json[_ -]?schema|output_?(?:config|format)|structured[_ -]?outputs?|\bgrammar\b", re.IGNORECASE
)
"""How servers refuse a schema.

By the parameter's name (DeepSeek, Groq, xAI, Vertex), by its purpose (OpenAI, OpenRouter, Anthropic), or by what they
would turn it into (llama.cpp).
"""

_FORM_FAILED = "json_validate_failed"
"""Groq's name for a reply that broke the schema: the model's fault, and in this reply only."""

_REFUSAL_STATUS = frozenset({400, 404, 415, 422, 500, 501})
"""Statuses of a refused request; limits of rate, size or rights do not count, whatever the model is called."""

_UNSUPPORTED = re.compile(
    r"unsupported|(?:not|n't) support|unrecogni[sz]ed|unknown|unexpected|deprecated"
    r"|not (?:permitted|allowed)|extra_forbidden|only the default",
    re.IGNORECASE,
)


def refuses_images(fault: Fault, request: CompletionRequest, refused: frozenset[str]) -> bool:
    """Tell whether a request was refused for its images, whether all images or just these."""
    has_images = IMAGES not in refused and any(message.images for message in request.messages)
    return has_images and fault.status in _REFUSAL_STATUS and bool(_ABOUT_IMAGES.search(fault.message))


def sees_no_images(fault: Fault) -> bool:
    """Tell whether the model, or its server, takes no images at all."""
    return bool(_SEES_NONE.search(fault.message))


def refuses_schema(fault: Fault, request: CompletionRequest, refused: frozenset[str]) -> bool:
    """Tell whether a request was refused for its schema."""
    if request.schema is None or SCHEMA in refused or fault.status not in _REFUSAL_STATUS:
        return False
    return _FORM_FAILED in fault.names or bool(_ABOUT_SCHEMA.search(f"{fault.parameter} {fault.message}"))


def takes_no_schema(fault: Fault) -> bool:
    """Tell whether every other request with a schema would be refused too."""
    return _FORM_FAILED not in fault.names


def parse_refused_parameter(fault: Fault, optional: Sequence[str], refused: frozenset[str]) -> str | None:
    """Return the optional parameter that the model does not know, if that is why it refused; else None."""
    if fault.status not in {400, 422} or not _UNSUPPORTED.search(" ".join((*fault.names, fault.message))):
        return None
    words = re.findall(r"\w+", fault.parameter or fault.message)
    return next((name for name in optional if name not in refused and name in words), None)
