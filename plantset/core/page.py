"""One self-contained HTML page in the language of messages: what every report of ours is.

`page.html.j2` is the frame: verdict in words first, then whatever the report's own template puts in `content`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from plantset.core.language import message_language, tr

Tone = Literal["main", "good", "plain", "warning", "alarm"]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One finding; the tone says how it should be read."""

    tone: Tone
    text: str


def render_page(template: Path, verdict: Sequence[Sentence], values: Mapping[str, Any]) -> str:
    """Return the page that a template makes; it needs nothing beside itself.

    Args:
        template: a Jinja file that extends `page.html.j2` and fills its blocks title, heading, origin and content.
        verdict: the findings in words, shown first.
        values: what the template uses beside `tr`, `percent`, `number` and `cell`.

    Raises:
        jinja2.UndefinedError: the template uses a value that is not there.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"tr": _tr, "percent": percent, "number": number, "cell": _cell}
    sentences = [Sentence(sentence.tone, typeset(sentence.text)) for sentence in verdict]
    page = environment.get_template(template.name).render(
        **values, language=message_language(), verdict=alarms_first(sentences)
    )
    return page + "\n"


def alarms_first(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Return the findings with the first one first, then the alarms, then the rest in their order."""
    return [*sentences[:1], *sorted(sentences[1:], key=lambda sentence: sentence.tone != "alarm")]


def typeset(text: str) -> str:
    """Return French text with the spaces that must not break; English as it is."""
    if message_language() != "fr":
        return text
    text = re.sub(r" (?=[:»])|(?<=«) ", "\u00a0", text)
    return re.sub(r" (?=[;?!%])", "\u202f", text)


def percent(share: float, digits: int = 1) -> str:
    """Return 0.842 as "84.2%" or "84,2 %"."""
    text = f"{100 * share:.{digits}f}"
    return tr(f"{text}%", f"{text.replace('.', ',')}\u202f%")


def number(value: float, digits: int = 2) -> str:
    """Return a number with the decimal mark of the language of messages."""
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if message_language() == "fr" else text


def data_address(image: bytes, kind: Literal["png", "jpeg"]) -> str:
    """Return an image as an address that holds its bytes."""
    return f"data:image/{kind};base64," + base64.b64encode(image).decode("ascii")


def _tr(en: str, fr: str) -> str:
    return typeset(tr(en, fr))


def _cell(name: str, value: object) -> Markup:
    """Return a number's table cell; the name of its column shows where a phone stacks the cells."""
    return Markup('<td class="n" data-name="{}">{}</td>').format(name, value)
