"""Documents, made by hand: PDF, plain text, contact cards and ZIP archives.

Source: ISO 32000-1 (PDF), RFC 6350 (vCard), APPNOTE.TXT (ZIP).
"""

import io
from zipfile import ZIP_STORED, ZipFile, ZipInfo

_LINE = 32
_ZIP_TIME = (2026, 1, 5, 11, 0, 0)


def pdf(title: str, pages: int, filler_bytes: int) -> tuple[bytes, bytes]:
    """Return what is before and after *filler_bytes* bytes of anything in a PDF with *pages*."""
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(pages))
    bodies = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for page in range(pages):
        text = f"BT /F1 24 Tf 72 720 Td ({title} {page + 1}) Tj ET"
        bodies.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * page} 0 R >>"
        )
        bodies.append(f"<< /Length {len(text)} >>\nstream\n{text}\nendstream")
    head, places = "%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(head))
        head += f"{number} 0 obj\n{body}\nendobj\n"
    places.append(len(head))
    head += f"{len(bodies) + 1} 0 obj\n<< /Length {filler_bytes} >>\nstream\n"
    tail = "\nendstream\nendobj\n"
    count, table = len(places) + 1, len(head) + filler_bytes + len(tail)
    tail += f"xref\n0 {count}\n0000000000 65535 f \n"
    tail += "".join(f"{place:010} 00000 n \n" for place in places)
    tail += f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n"
    return head.encode(), tail.encode()


def text(title: str, filler: bytes) -> bytes:
    """Return lines of digits below *title*."""
    digits = filler.hex()
    lines = [digits[start : start + _LINE] for start in range(0, len(digits), _LINE)]
    return "\n".join((title, "", *lines, "")).encode()


def card(title: str, filler: bytes) -> bytes:
    """Return a contact card with a note."""
    lines = ("BEGIN:VCARD", "VERSION:3.0", f"N:;{title};;;", f"FN:{title}")
    return "\r\n".join((*lines, f"NOTE:{filler.hex()}", "END:VCARD", "")).encode()


def archive(title: str, filler: bytes) -> bytes:
    """Return a ZIP archive with a text and a file of anything."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_STORED) as packed:
        packed.writestr(ZipInfo("leia-me.txt", _ZIP_TIME), title)
        packed.writestr(ZipInfo("dados.bin", _ZIP_TIME), filler)
    return file.getvalue()
