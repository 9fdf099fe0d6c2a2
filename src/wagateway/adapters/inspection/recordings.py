"""Sounds and films, by ffprobe and ffmpeg where they are installed.

They are processes of their own, started by the process that looks at files and under its limits.
They are given an open file and no path, read nothing but files, and only as real containers: a
playlist, a list of parts or a description of a stream could name others, here or elsewhere.
"""

import io
import subprocess
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import msgspec
from msgspec import Struct
from msgspec.structs import replace
from PIL import Image

from wagateway.adapters.inspection.frames import Programs
from wagateway.adapters.inspection.previews import THUMBNAIL_PIXELS, preview
from wagateway.adapters.inspection.unreadable import Unreadable
from wagateway.ports.media_inspector import Looked

_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,ogg,mp3,wav,flac,aac,amr,amrnb,amrwb,avi,flv,mpeg,mpegts"
)
_LONGEST_S = 10.0 * 365 * 86_400
"""A recording of ten years is a mistake."""

_SECONDS = 8
"""For each program: both together stay below what a file may take."""

_MOST_PIXELS = 60_000_000
_CAUTIOUS = (
    *("-v", "quiet"),
    *("-protocol_whitelist", "file,pipe"),
    *("-format_whitelist", _CONTAINERS),
    *("-threads", "1"),
    *("-max_pixels", str(_MOST_PIXELS)),
)


class _Rotation(Struct):
    rotation: float = 0.0


class _Stream(Struct):
    codec_type: str = ""
    width: int = 0
    height: int = 0
    disposition: dict[str, int] = {}
    side_data_list: list[_Rotation] = []

    @property
    def is_film(self) -> bool:
        """A cover is a picture too."""
        is_cover = self.disposition.get("attached_pic", 0)
        return self.codec_type == "video" and not is_cover and self.width > 0 < self.height


class _Format(Struct):
    duration: str = ""


class _Probed(Struct):
    streams: list[_Stream] = []
    format: _Format = msgspec.field(default_factory=_Format)


def look_at_recording(file: BinaryIO, known: Looked, programs: Programs) -> Iterator[Looked]:
    """Yield *known* with duration and size, then with a preview of a film's first frame.

    Without the programs nothing is yielded.

    Raises:
        Unreadable: it is damaged, or takes too long.
    """
    if programs.ffprobe is None:
        return
    probed = _probed(file, programs.ffprobe)
    film = next((each for each in probed.streams if each.is_film), None)
    known = replace(known, duration_s=_seconds(probed.format.duration))
    if film is not None:
        width, height = _turned(film)
        known = replace(known, width=width, height=height)
    yield known
    if film is not None and programs.ffmpeg is not None:
        thumbnail, placeholder = _drawn(file, programs.ffmpeg)
        yield replace(known, thumbnail=thumbnail, placeholder=placeholder)


def _probed(file: BinaryIO, ffprobe: str) -> _Probed:
    wanted = "format=duration:stream=codec_type,width,height:stream_disposition=attached_pic"
    asked = ("-of", "json", "-show_entries", f"{wanted}:stream_side_data=rotation")
    answer = _said(file, ffprobe, (*_CAUTIOUS, *asked))
    try:
        probed = msgspec.json.decode(answer or b"{}", type=_Probed)
    except msgspec.DecodeError:
        probed = _Probed()
    if not probed.streams:
        raise Unreadable("the recording is damaged, or none")
    return probed


def _drawn(file: BinaryIO, ffmpeg: str) -> tuple[bytes, bytes]:
    side = THUMBNAIL_PIXELS
    scale = f"scale={side}:{side}:force_original_aspect_ratio=decrease"
    before = ("-nostdin", *_CAUTIOUS, "-an", "-sn", "-dn")
    after = ("-frames:v", "1", "-filter_threads", "1", "-vf", scale, "-c:v", "png")
    answer = _said(file, ffmpeg, before, (*after, "-f", "image2pipe", "pipe:1"))
    try:
        with Image.open(io.BytesIO(answer), formats=["PNG"]) as picture:
            if max(picture.size) <= side:
                return preview(picture)
    except (OSError, ValueError, SyntaxError) as exc:
        raise Unreadable("the first frame of the film cannot be drawn") from exc
    raise Unreadable("the first frame of the film cannot be drawn")


def _said(file: BinaryIO, program: str, before: Sequence[str], after: Sequence[str] = ()) -> bytes:
    file.seek(0)
    number = file.fileno()
    try:
        return subprocess.run(  # noqa: S603 - no shell; neither name nor content are its words
            [program, *before, "-i", f"file:/dev/fd/{number}", *after],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(number,),
            timeout=_SECONDS,
            check=False,
        ).stdout
    except subprocess.TimeoutExpired as exc:
        raise Unreadable("the recording takes too long to read") from exc
    except OSError as exc:
        raise Unreadable("the program that reads recordings cannot be started") from exc


def _seconds(told: str) -> float | None:
    try:
        seconds = float(told)
    except ValueError:
        return None
    return round(seconds, 3) if 0 <= seconds < _LONGEST_S else None


def _turned(film: _Stream) -> tuple[int, int]:
    is_sideways = any(round(each.rotation / 90) % 2 for each in film.side_data_list)
    return (film.height, film.width) if is_sideways else (film.width, film.height)
