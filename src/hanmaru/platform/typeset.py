"""Documents as tagged PDF, set by Typst with the front end's fonts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

FONTS: Final = Path(__file__).parent.parent / "web" / "fonts"
"""Where the front-end build puts the whole fonts."""
NEEDED: Final = ("Pretendard-Regular.otf", "Pretendard-Bold.otf")


class TypesetError(Exception):
    """Why a document cannot be set, in a line that says what to do."""


def as_pdf(template: Path, document: Mapping[str, Any]) -> bytes:
    """Return a document as PDF/UA-1: the template reads it, as JSON, from the input ``data``.

    Raises TypesetError where the fonts have not been built, or the template cannot be set.
    """
    import typst  # loads 30 MB; only who prints pays

    for font in NEEDED:
        if not (FONTS / font).is_file():
            raise TypesetError(f"the font {font} is missing: run python tools/build_web.py")
    try:
        made, warnings = typst.compile_with_warnings(
            template,
            font_paths=[FONTS],
            sys_inputs={"data": json.dumps(document, ensure_ascii=False)},
            pdf_standards="ua-1",
        )
    except typst.TypstError as error:
        raise TypesetError(f"the document cannot be set: {error.message}") from None
    for warning in warnings:
        # A font for Chinese characters in names is the system's, where it has one.
        if "unknown font family: pretendard" in warning.message:
            raise TypesetError(f"the font cannot be read from {FONTS}: run python tools/build_web.py --force")
    assert isinstance(made, bytes)
    return made
