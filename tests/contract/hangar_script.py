"""What the Hangar API's own client does with a hub; run by an interpreter that has the client.

Arguments: the hub's address, an API key. Prints one JSON object of what it saw.
"""

import json
import sys

import hangar_api as h

host, key = sys.argv[1:]
seen: dict[str, object] = {}

configuration = h.Configuration(host=host)
session = h.AuthenticationApi(h.ApiClient(configuration)).authenticate(api_key=key)
seen["expires_in"] = session.expires_in
configuration.access_token = session.token
client = h.ApiClient(configuration)

permissions = h.PermissionsApi(client)
shown = permissions.show_permissions()
seen["permissions"] = [permission.value for permission in shown.permissions]
seen["bits"] = int(shown.permission_bin_string, 2)
wanted = [h.NamedPermission.EDIT_API_KEYS, h.NamedPermission.VIEW_STATS]
seen["has_all"] = permissions.has_all(permissions=wanted).result
seen["has_any"] = permissions.has_any(permissions=[h.NamedPermission.REVIEWER]).result

keys = h.APIKeysApi(client)
made = keys.create_key(h.CreateAPIKeyForm(name="from the client", permissions=[h.NamedPermission.VIEW_STATS]))
seen["made"] = made
# get_keys() declares one key where the server sends a list, and cannot read the right answer.
listed = json.loads(keys.get_keys_without_preload_content().data)
seen["listed"] = [h.ApiKey.from_dict(one).to_dict()["name"] for one in listed]
anonymous = h.Configuration(host=host)
second = h.AuthenticationApi(h.ApiClient(anonymous)).authenticate(api_key=made)
keys.delete_key(name="from the client")

users, page = h.UsersApi(client), h.RequestPagination(limit=25, offset=0)
seen["users"] = [user.name for user in users.show_users(query="", pagination=page).result]
seen["staff"] = [user.name for user in users.get_staff(query="", pagination=page).result]
seen["user"] = users.get_user(user="Owner").name
seen["anonymous"] = [p.value for p in h.PermissionsApi(h.ApiClient(anonymous)).show_permissions().permissions]


def refusal(token: str | None, api_key: str | None = None) -> str:
    refused = h.Configuration(host=host, access_token=token)
    try:
        if api_key is None:
            h.PermissionsApi(h.ApiClient(refused)).show_permissions()
        else:
            h.AuthenticationApi(h.ApiClient(refused)).authenticate(api_key=api_key)
    except h.ApiException as error:
        return f"{type(error).__name__} {error.status}"
    return "none"


seen["token of a deleted key"] = refusal(second.token)
seen["garbage"] = refusal("a.b.c")
seen["altered"] = refusal(session.token[:-3] + "xxx")
seen["deleted key"] = refusal(None, made)
seen["badly formatted key"] = refusal(None, "1|abc+/=")
print(json.dumps(seen))
