"""The server itself and its sessions, as WAHA's REST API tells of them."""

from base64 import b64encode

from wagateway.simulator.dice import digest
from wagateway.simulator.drawing import code_picture
from wagateway.simulator.hosted import SCAN_QR_CODE, STOPPED, Hosted
from wagateway.simulator.rest_answers import CREATED, Answer, not_ready, refused, version
from wagateway.simulator.rest_call import Call, Route
from wagateway.simulator.rest_rows import picture
from wagateway.simulator.shapes import blob
from wagateway.simulator.waha_server import WahaServer
from wagateway.simulator.wire import Payload

_KEY_BYTES = 32
_PNG = "image/png"
_DISKS = ("mediaFiles.space", "sessionsFiles.space")


def session_info(hosted: Hosted) -> Payload:
    """Return a session as lists have it."""
    info: Payload = {
        "name": hosted.name,
        "status": hosted.status,
        "config": {
            "metadata": {},
            "proxy": None,
            "debug": False,
            "ignore": dict.fromkeys(("status", "groups", "channels", "broadcast")),
            "noweb": {"markOnline": False, "store": {"enabled": True, "fullSync": True}},
            "webhooks": [],
        },
        "me": hosted.me,
        "presence": None,
        "timestamps": {"activity": hosted.active_ms},
        "assignedWorker": "waha-1",
    }
    if hosted.status != STOPPED:
        info["engine"] = {"engine": hosted.engine.name.value}
    return info


def _info(call: Call, hosted: Hosted) -> Payload:
    info = session_info(hosted)
    info["config"]["noweb"]["store"]["enabled"] = call.server.store_enabled
    return info


def _ping(_call: Call) -> Answer:
    return Answer(body={"message": "pong"})


def _health(_call: Call) -> Answer:
    up = {name: {"status": "up"} for name in _DISKS}
    return Answer(body={"status": "ok", "info": up, "error": {}, "details": up})


def _version(call: Call) -> Answer:
    engine = next(iter(call.server.sessions.values())).engine.name
    return Answer(body=version(engine.value))


def _list(call: Call) -> Answer:
    every = call.query.flag("all", default=False)
    sessions = [h for h in call.server.sessions.values() if every or h.status != STOPPED]
    return Answer(body=[_info(call, hosted) for hosted in sessions])


def _get(call: Call) -> Answer:
    return Answer(body=_info(call, call.session))


def _me(call: Call) -> Answer:
    return Answer(body=call.session.me)


def _profile(call: Call) -> Answer:
    account = call.session.engine.world.account
    shown = picture(account.phone_jid)
    return Answer(body={"id": account.phone_jid, "picture": shown, "name": account.name})


def _changed(change: str) -> "Route":
    def handle(call: Call) -> Answer:
        server: WahaServer = call.server
        changes = {
            "start": server.start,
            "stop": server.stop,
            "restart": server.restart,
            "logout": server.log_out,
        }
        changes[change](call.session)
        return Answer(status=CREATED, body=_info(call, call.session))

    return Route(
        method="POST",
        path=f"/api/sessions/{{session}}/{change}",
        handle=handle,
        needs_working=False,
    )


def _qr(call: Call) -> Answer:
    _require_scanning(call)
    shape = call.query.choice("format", ("image", "raw")) or "image"
    call.session.qr_number += 1
    key = (call.session.name, call.session.qr_number)
    keys = ",".join(blob(_KEY_BYTES, "qr", number, *key) for number in range(4))
    value = f"2@{keys},1"
    if shape == "raw":
        return Answer(body={"value": value})
    drawn = code_picture(value)
    if "application/json" in call.accept:
        return Answer(body={"mimetype": _PNG, "data": b64encode(drawn).decode()})
    return Answer(body=drawn, kind=_PNG)


def _request_code(call: Call) -> Answer:
    phone = call.body.get("phoneNumber")
    if not isinstance(phone, str) or not phone.isdigit():
        raise refused(400, ["phoneNumber must be a string"])
    _require_scanning(call)
    code = digest(4, "code", call.session.name, phone).hex().upper()
    return Answer(status=CREATED, body={"code": f"{code[:4]}-{code[4:]}"})


def _require_scanning(call: Call) -> None:
    hosted = call.session
    if hosted.status != SCAN_QR_CODE:
        raise not_ready(hosted.name, hosted.status, SCAN_QR_CODE)


SESSIONS: tuple[Route, ...] = (
    Route(method="GET", path="/ping", handle=_ping, needs_working=False),
    Route(method="GET", path="/health", handle=_health, needs_working=False),
    Route(method="GET", path="/api/version", handle=_version, needs_working=False),
    Route(method="GET", path="/api/server/version", handle=_version, needs_working=False),
    Route(method="GET", path="/api/sessions", handle=_list, needs_working=False),
    Route(method="GET", path="/api/sessions/{session}", handle=_get, needs_working=False),
    Route(method="GET", path="/api/sessions/{session}/me", handle=_me, needs_working=False),
    Route(method="GET", path="/api/{session}/profile", handle=_profile),
    *(_changed(change) for change in ("start", "stop", "restart", "logout")),
    Route(method="GET", path="/api/{session}/auth/qr", handle=_qr, needs_working=False),
    Route(
        method="POST",
        path="/api/{session}/auth/request-code",
        handle=_request_code,
        needs_working=False,
    ),
)
