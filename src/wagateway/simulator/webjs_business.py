"""Messages of businesses as WhatsApp Web keeps them: menus, products, orders, invitations."""

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
from wagateway.simulator.shapes import THUMBNAIL, wid
from wagateway.simulator.wire import Payload

_INVITED_FOR_S = 3 * 24 * 3600


def menu(said: Menu, stanza: str) -> Payload:
    """Return what belongs to a message to tap on, or to the answer to one."""
    ids = {option: f"{stanza[-6:]}-{number}" for number, option in enumerate(said.options)}
    match said.form:
        case MenuForm.LIST:
            rows = [{"title": option, "rowId": id_} for option, id_ in ids.items()]
            shown = {"description": said.text, "buttonText": "☰", "footerText": said.footer}
            sections = [{"title": "", "rows": rows}]
            return {"list": {"listType": 1, "title": "", **shown, "sections": sections}}
        case MenuForm.BUTTONS:
            buttons = [
                {"buttonId": id_, "buttonText": {"displayText": option}, "type": 1}
                for option, id_ in ids.items()
            ]
            return {
                "isDynamicReplyButtonsMsg": True,
                "dynamicReplyButtons": buttons,
                "footer": said.footer,
            }
        case MenuForm.INTERACTIVE:
            flow = [
                {"name": "quick_reply", "buttonParamsJson": f'{{"display_text":"{option}"}}'}
                for option in said.options
            ]
            return {
                "interactiveType": "native_flow",
                "interactivePayload": {"buttons": flow, "messageVersion": 1},
                "footer": said.footer,
            }
        case MenuForm.LIST_REPLY:
            chosen = {"selectedRowId": ids[said.options[0]]}
            return {"listResponse": {"title": said.text, "singleSelectReply": chosen}}
        case MenuForm.BUTTON_REPLY:
            return {"selectedButtonId": ids[said.options[0]]}
    assert_never(said.form)


def ware(said: Ware, note: Note) -> Payload:
    """Return what belongs to a product, an order or an invitation."""
    seller = wid(note.author.phone_jid) if note.author else None
    match said.form:
        case WareForm.PRODUCT:
            return {
                "productId": str(said.number),
                "title": said.title,
                "currencyCode": "BRL",
                "priceAmount1000": said.price_cents * 10,
                "businessOwnerJid": seller,
            }
        case WareForm.ORDER:
            return {
                "orderId": str(said.number),
                "itemCount": 1 + said.number % 5,
                "orderTitle": said.title,
                "sellerJid": seller,
                "token": note.stanza[-12:],
                "totalAmount1000": said.price_cents * 10,
                "totalCurrencyCode": "BRL",
            }
        case WareForm.INVITE:
            return {
                "inviteGrp": wid(f"{said.number}@g.us"),
                "inviteCode": note.stanza[-16:],
                "inviteCodeExp": note.at_ms // 1000 + _INVITED_FOR_S,
                "inviteGrpName": said.title,
                "inviteGrpJpegThum": THUMBNAIL,
            }
    assert_never(said.form)
