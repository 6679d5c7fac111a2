"""These tests check that the documents name only things that exist."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from agentd.service.metrics import build_metrics
from tests.architecture.reading import tree_of

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_test_that_a_document_names_exists() -> None:
    named = {
        (name_of(path), name) for path in DOCUMENTS for name in re.findall(r"`(test_\w+)`", path.read_text("utf-8"))
    }
    tests = {
        node.name
        for path in TEST_FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert named
    assert [(document, name) for document, name in sorted(named) if name not in tests] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    paths = set(re.findall(r"`((?:tests|benchmarks|agentd|channels|memory|systemd|docs)/[\w/.-]+\.\w+)`", text))
    names = set(re.findall(r"`(test_\w+\.py)`", text))

    assert [path for path in sorted(paths) if "NAME" not in path and not (ROOT / path).exists()] == []
    assert names - {path.name for path in TEST_FILES} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", document.read_text("utf-8"))

    assert [link for link in links if not (document.parent / link).exists()] == []


def anchors_of(path: Path) -> set[str]:
    """Return what a link can name behind `#`: the headings, spelt as GitHub does."""
    text = re.sub(r"^```.*?^```", "", path.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_to_a_heading_finds_it(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)", document.read_text("utf-8"))

    assert [
        (path, anchor)
        for path, anchor in links
        if anchor not in anchors_of((document.parent / path) if path else document)
    ] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_by_name_is_defined_and_every_definition_used(document: Path) -> None:
    text = document.read_text("utf-8")
    named = set(re.findall(r"\]\[([\w-]+)\]", text))
    defined = set(re.findall(r"^\[([\w-]+)\]: ", text, flags=re.MULTILINE))

    assert named == defined


def test_the_handbook_knows_every_figure_and_no_other() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    told = re.findall(r"^\| `(agentd_\w+)(?:{([\w,]+)})?` \|", text, re.MULTILINE)
    metrics = build_metrics()
    known = [getattr(metrics, field.name) for field in fields(metrics) if field.name != "registry"]

    assert sorted((name.removesuffix("_total"), labels) for name, labels in told) == sorted(
        (figure._name, ",".join(figure._labelnames)) for figure in known
    )
