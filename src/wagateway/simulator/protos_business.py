"""Messages of businesses as WhatsApp's protobuf has them: menus, products, orders, invitations."""

from typing import assert_never

from wagateway.simulator.contents import (
    Menu,
    MenuForm,
    Ware,
    WareForm,
)
from wagateway.simulator.happenings import (
    Note,
)
from wagateway.simulator.shapes import THUMBNAIL, engine_jid
from wagateway.simulator.wire import Payload

_INVITED_FOR_S = 3 * 24 * 3600


def menu(said: Menu, stanza: str, tail: Payload) -> Payload:
    """Return a message to tap on, or the answer to one, with *tail* in it."""
    ids = {option: f"{stanza[-6:]}-{number}" for number, option in enumerate(said.options)}
    match said.form:
        case MenuForm.LIST:
            return {"listMessage": {**_list(said, ids), **tail}}
        case MenuForm.BUTTONS:
            return {"buttonsMessage": {**_buttons(said, ids), **tail}}
        case MenuForm.INTERACTIVE:
            return {"interactiveMessage": {**_flow(said, ids), **tail}}
        case MenuForm.LIST_REPLY:
            chosen = {"selectedRowId": ids[said.options[0]]}
            reply = {"title": said.text, "listType": "SINGLE_SELECT", "singleSelectReply": chosen}
            return {"listResponseMessage": {**reply, **tail}}
        case MenuForm.BUTTON_REPLY:
            reply = {
                "selectedButtonId": ids[said.options[0]],
                "selectedDisplayText": said.text,
                "type": "DISPLAY_TEXT",
            }
            return {"buttonsResponseMessage": {**reply, **tail}}
    assert_never(said.form)


def _list(said: Menu, ids: dict[str, str]) -> Payload:
    rows = [{"title": option, "rowId": id_} for option, id_ in ids.items()]
    return {
        "title": said.text.partition("\n")[0],
        "description": said.text,
        "buttonText": "☰",
        "listType": "SINGLE_SELECT",
        "sections": [{"title": "", "rows": rows}],
        "footerText": said.footer,
    }


def _buttons(said: Menu, ids: dict[str, str]) -> Payload:
    return {
        "contentText": said.text,
        "footerText": said.footer,
        "headerType": "EMPTY",
        "buttons": [
            {"buttonId": id_, "buttonText": {"displayText": option}, "type": "RESPONSE"}
            for option, id_ in ids.items()
        ],
    }


def _flow(said: Menu, ids: dict[str, str]) -> Payload:
    buttons = [
        {
            "name": "quick_reply",
            "buttonParamsJson": f'{{"display_text":"{option}","id":"{id_}"}}',
        }
        for option, id_ in ids.items()
    ]
    return {
        "body": {"text": said.text},
        "footer": {"text": said.footer},
        "nativeFlowMessage": {"buttons": buttons, "messageVersion": 1},
    }


def ware(said: Ware, note: Note, tail: Payload) -> Payload:
    """Return a product, an order or an invitation, with *tail* in it."""
    seller = engine_jid(note.author, note.address) if note.author else ""
    thousandths = str(said.price_cents * 10)
    match said.form:
        case WareForm.PRODUCT:
            product = {
                "productId": str(said.number),
                "title": said.title,
                "currencyCode": "BRL",
                "priceAmount1000": thousandths,
                "productImageCount": 1,
            }
            return {"productMessage": {"product": product, "businessOwnerJid": seller, **tail}}
        case WareForm.ORDER:
            return {
                "orderMessage": {
                    "orderId": str(said.number),
                    "itemCount": 1 + said.number % 5,
                    "status": "INQUIRY",
                    "surface": "CATALOG",
                    "orderTitle": said.title,
                    "sellerJid": seller,
                    "token": note.stanza[-12:],
                    "totalAmount1000": thousandths,
                    "totalCurrencyCode": "BRL",
                    **tail,
                }
            }
        case WareForm.INVITE:
            return {
                "groupInviteMessage": {
                    "groupJid": f"{said.number}@g.us",
                    "inviteCode": note.stanza[-16:],
                    "inviteExpiration": str(note.at_ms // 1000 + _INVITED_FOR_S),
                    "groupName": said.title,
                    "jpegThumbnail": THUMBNAIL,
                    "caption": said.caption or "",
                    **tail,
                }
            }
    assert_never(said.form)
