"""How Go spells what protobuf messages hold, compared with Baileys."""

from typing import Any

_GO_NAMES = {
    "url": "URL",
    "fileSha256": "fileSHA256",
    "fileEncSha256": "fileEncSHA256",
    "jpegThumbnail": "JPEGThumbnail",
    "ptt": "PTT",
    "stanzaId": "stanzaID",
    "mentionedJid": "mentionedJID",
    "remoteJid": "remoteJID",
    "timestampMs": "timestampMS",
    "productId": "productID",
    "businessOwnerJid": "businessOwnerJID",
    "orderId": "orderID",
    "sellerJid": "sellerJID",
    "groupJid": "groupJID",
    "rowId": "rowID",
    "selectedRowId": "selectedRowID",
    "buttonId": "buttonID",
    "selectedButtonId": "selectedButtonID",
    "buttonParamsJson": "buttonParamsJSON",
}
_NUMBERS = {
    *("fileLength", "mediaKeyTimestamp", "stickerSentTs", "timestampMs", "sequenceNumber"),
    *("startTime", "priceAmount1000", "totalAmount1000", "inviteExpiration"),
    "ephemeralSettingTimestamp",
}
_ENUMS = {
    ("previewType", "NONE"): 0,
    ("font", "SYSTEM_BOLD"): 6,
    ("gifAttribution", "GIPHY"): 1,
    ("listType", "SINGLE_SELECT"): 1,
    ("headerType", "EMPTY"): 1,
    ("type", "RESPONSE"): 1,
    ("type", "DISPLAY_TEXT"): 1,
    ("status", "INQUIRY"): 1,
    ("surface", "CATALOG"): 1,
}
"""whatsmeow writes enums as numbers."""


def go(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return protobuf contents in Go's spelling: other capitals, enums and long as numbers."""
    if isinstance(value, list):
        return [go(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {_GO_NAMES.get(key, key): _go_value(key, item) for key, item in value.items()}


def _go_value(key: str, item: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(item, str):
        return int(item) if key in _NUMBERS else _ENUMS.get((key, item), item)
    return go(item)
