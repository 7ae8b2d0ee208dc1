"""Literal frames that several tests start from."""

from typing import Any

from hub.protocol.json_text import loads

HELLO = (
    '{"type":"hello","agent":{"name":"device-agent","version":"0.1.0"},"boot_id":"boot-1","hardware_id":"hw-1",'
    '"clock":"2026-03-29T14:30:00Z","capabilities":["reboot","set_volume","take_screenshot"],'
    '"player":{"kind":"mpv","version":"0.35.1"},"journal":[]}'
)
WELCOME = (
    '{"type":"welcome","player_id":7,"name":"Lobby Display","session":"s-1","epoch":3,'
    '"server_time":"2026-03-29T14:30:01Z","heartbeat_s":10,"telemetry_s":60,"screenshot_s":300,"chunk_bytes":65536,'
    '"window":4,"settings":{"volume":40},"alerts":[]}'
)
COMMAND = (
    '{"type":"command","id":"c-1","command":"set_volume","payload":{"volume":40},"delivery":"idempotent",'
    '"expires_at":"2026-03-29T14:35:00Z"}'
)
ACK = '{"type":"ack","id":"c-1"}'
RESULT = (
    '{"type":"result","id":"c-1","status":"succeeded","detail":{"volume":40},"finished_at":"2026-03-29T14:30:02Z",'
    '"boot_id":"boot-1"}'
)
SHA_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
UPLOAD = (
    '{"type":"upload","upload":1,"kind":"screenshot","mime":"image/png","size":3,"sha256":"' + SHA_OF_ABC + '",'
    '"captured_at":"2026-03-29T14:30:02Z","source":"mpv"}'
)

FROM_PLAYER = {
    "hello": HELLO,
    "ack": ACK,
    "progress": '{"type":"progress","id":"c-1","percent":50,"note":"half way"}',
    "result": RESULT,
    "telemetry": '{"type":"telemetry","ip_address":"192.168.1.42","wifi_signal":-45,"storage_total_mb":16000,'
    '"storage_used_mb":2400.5,"storage_free_mb":13599.5,"screen_on":true,"volume":80,"uptime_seconds":86400,'
    '"current_content":"Summer Promo","cpu_percent":12.5,"memory_used_mb":512,"temperature_c":48.2,'
    '"clock":"2026-03-29T14:30:00.123Z"}',
    "plays": '{"type":"plays","batch":"b-1","entries":[{"id":"p-1","asset_id":5,"playlist_id":2,"layout_id":3,'
    '"schedule_id":4,"campaign_id":6,"started_at":"2026-03-29T14:29:00Z","duration_s":30,"completed":true}]}',
    "event": '{"type":"event","name":"storage.low","data":{"free_mb":12}}',
    "upload": UPLOAD,
    "settings": '{"type":"settings","reported":{"volume":40},"failed":{"brightness":"no backlight"}}',
    "bye": '{"type":"bye","reason":"rebooting"}',
}
FROM_HUB = {
    "welcome": WELCOME,
    "command": COMMAND,
    "cancel": '{"type":"cancel","id":"c-1"}',
    "result_ok": '{"type":"result_ok","id":"c-1"}',
    "plays_ok": '{"type":"plays_ok","batch":"b-1"}',
    "upload_ready": '{"type":"upload_ready","upload":1,"received":0}',
    "upload_credit": '{"type":"upload_credit","upload":1,"received":65536}',
    "upload_done": '{"type":"upload_done","upload":1,"id":"shot-1","url":"https://hub.example/api/v1/screenshots/1"}',
    "upload_failed": '{"type":"upload_failed","upload":1,"code":"too_large","message":"at most 10000000 bytes"}',
    "sync": '{"type":"sync","revision":"r-2"}',
    "settings": '{"type":"settings","desired":{"volume":40}}',
    "alert": '{"type":"alert","id":"a-1","action":"raise","title":"Fire","message":"Leave now","severity":"critical"}',
    "drain": '{"type":"drain","reconnect_after_ms":1500}',
    "error": '{"type":"error","code":"invalid_field","message":"id: is required","ref":"c-1"}',
}


def hello_with(*entries: str) -> str:
    """A hello whose journal holds these entries."""
    return HELLO.replace('"journal":[]', f'"journal":[{",".join(entries)}]')


def said(session: Any) -> list[Any]:
    """What the session wants written: texts as objects, everything else as it is."""
    return [loads(output.text) if hasattr(output, "text") else output for output in session.take_output()]
