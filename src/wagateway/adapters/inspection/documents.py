"""PDF documents, by PDFium: without forms, and so without their scripts."""

import ctypes
import math
from collections.abc import Iterator
from contextlib import closing
from typing import BinaryIO

from msgspec.structs import replace
from pypdfium2 import PdfDocument, PdfiumError, raw

from wagateway.adapters.inspection.previews import THUMBNAIL_PIXELS, preview
from wagateway.adapters.inspection.unreadable import Unreadable
from wagateway.ports.media_inspector import Looked


def look_at_document(file: BinaryIO, known: Looked) -> Iterator[Looked]:
    """Yield *known* with the number of pages, then with a preview of the first.

    Raises:
        Unreadable: it is damaged or protected.
        MemoryError: it takes too much.
    """
    with closing(_opened(file)) as document:
        pages = len(document)
        if pages < 1:
            raise Unreadable("the document has no pages")
        try:
            # A number is easily claimed; the last page must be there.
            document.get_page_size(pages - 1)
        except PdfiumError as exc:
            raise Unreadable("the document does not have the pages that it claims") from exc
        known = replace(known, pages=pages)
        yield known
        thumbnail, placeholder = _drawn(document)
        yield replace(known, thumbnail=thumbnail, placeholder=placeholder)


def _opened(file: BinaryIO) -> PdfDocument:
    file.seek(0)
    try:
        return PdfDocument(file)
    except PdfiumError as exc:
        if exc.err_code == raw.FPDF_ERR_PASSWORD:
            raise Unreadable("the document is protected by a password") from exc
        raise Unreadable("the document is damaged") from exc
    except (ctypes.ArgumentError, OSError, ValueError) as exc:
        raise Unreadable("the document is damaged") from exc


def _drawn(document: PdfDocument) -> tuple[bytes, bytes]:
    try:
        with closing(document[0]) as page:
            longer = max(page.get_size())
            if not 0 < longer < math.inf:
                raise Unreadable("the first page has no size")
            with closing(
                page.render(scale=THUMBNAIL_PIXELS / longer, may_draw_forms=False)
            ) as drawn:
                return preview(drawn.to_pil())
    except PdfiumError as exc:
        raise Unreadable("the first page cannot be drawn") from exc
