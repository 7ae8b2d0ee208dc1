"""What a program does with the generated Python client; run with the client's folder on its path.

Arguments: the hub's address, an API key, a player's id. Prints one JSON object of what it saw.
"""

import json
import sys
from typing import Any

from signalbox import AuthenticatedClient
from signalbox.api.assets import create_asset
from signalbox.api.commands import get_command, send_command
from signalbox.api.playlists import create_playlist
from signalbox.api.schedules import create_schedule
from signalbox.models import NewAsset, NewCommand, NewItem, NewPlaylist, NewSchedule, NewTarget, NewTargetType

address, key, number = sys.argv[1:]
client = AuthenticatedClient(address, key, raise_on_unexpected_status=True)
player_id = int(number)


def made(answer: Any) -> Any:
    assert answer.status_code < 300, answer.content
    return answer.parsed


new_asset = NewAsset.from_dict({"name": "News", "type": "web", "source_url": "https://news.example.com/"})
asset = made(create_asset.sync_detailed(client=client, body=new_asset)).data
new_playlist = NewPlaylist(name="Morning", items=[NewItem(asset_id=asset.id, duration=10)])
playlist = made(create_playlist.sync_detailed(client=client, body=new_playlist)).data
new_schedule = NewSchedule(
    playlist_id=playlist.id,
    days_of_week=[1, 2],
    start_time="07:00",
    end_time="11:00",
    targets=[NewTarget(NewTargetType.PLAYER, player_id)],
)
schedule = made(create_schedule.sync_detailed(client=client, body=new_schedule)).data
new_command = NewCommand.from_dict({"player_id": player_id, "command": "set_volume", "payload": {"volume": 40}})
sent = made(send_command.sync_detailed(client=client, body=new_command))
command = made(get_command.sync_detailed(sent.command_id, client=client, prefer="wait=30")).data

print(
    json.dumps(
        {
            "playlist": [playlist.name, [[item.asset_id == asset.id, item.duration] for item in playlist.items]],
            "schedule": [schedule.playlist_id == playlist.id, schedule.start_time, schedule.targets[0].type_],
            "command": [command.status, command.detail.to_dict()],
        }
    )
)
