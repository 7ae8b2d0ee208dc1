"""Assets, uploads and folders."""

from typing import Any

from hub.api.http.endpoint import Endpoint
from hub.api.v1.answers import Done, Many, One
from hub.api.v1.content import answers as a
from hub.api.v1.content import assets, bodies, downloads, folders, uploads

READ: dict[str, Any] = {"scope": "read:content"}
WRITE: dict[str, Any] = {"scope": "write:content"}
SPOT: dict[str, Any] = {"owner": "spot"}
LINK: dict[str, Any] = {"needs_auth": False, "query": bodies.Link, "rate": "signed"}
FILE: dict[str, Any] = {"anonymous": True, **LINK, "errors": (401, 403, 410)}

ASSETS, UPLOADS, FOLDERS = ("Assets",), ("Uploads",), ("Folders",)
ASSET, FOLDER = "/api/v1/assets/{asset_id:int}", "/api/v1/folders/{folder_id:int}"

ENTRIES = (
    Endpoint("GET", "/api/v1/assets", assets.list_assets, summary="List assets", tags=ASSETS, **READ, **SPOT,
             query=bodies.AssetFilter, answers={200: Many[a.Asset]}),
    Endpoint("POST", "/api/v1/assets", assets.create_asset, summary="Add an asset", tags=ASSETS, **WRITE,
             body=bodies.NewAsset, multipart=bodies.AssetForm, answers={200: One[a.Asset], 201: One[a.Asset]},
             errors=(409,)),
    Endpoint("GET", ASSET, assets.get_asset, summary="Get an asset", tags=ASSETS, **READ, answers={200: One[a.Asset]}),
    Endpoint("PATCH", ASSET, assets.change_asset, summary="Change an asset", tags=ASSETS, **WRITE,
             body=bodies.AssetChanges, versioned=True, answers={200: One[a.Asset]}),
    Endpoint("PUT", ASSET, assets.put_asset, summary="Change an asset (as PATCH)", tags=ASSETS, **WRITE,
             body=bodies.AssetChanges, versioned=True, answers={200: One[a.Asset]}),
    Endpoint("DELETE", ASSET, assets.delete_asset, summary="Delete an asset", tags=ASSETS, **WRITE, **SPOT,
             answers={200: Done}),
    Endpoint("GET", ASSET + "/download", downloads.download_asset, summary="Download an asset", tags=ASSETS, **FILE,
             answers={200: None, 206: None, 302: None, 304: None, 416: None}),
    Endpoint("GET", ASSET + "/thumbnail", downloads.get_thumbnail, summary="Get an asset's thumbnail", tags=ASSETS,
             **FILE, answers={200: None, 206: None, 304: None, 416: None}),

    Endpoint("POST", "/api/v1/assets/upload-url", uploads.create_upload_url, summary="Get an upload URL", tags=UPLOADS,
             **WRITE, **SPOT, body=bodies.NewUpload, answers={200: a.UploadUrl}),
    Endpoint("PUT", "/api/v1/uploads/{upload_id}", uploads.put_upload, summary="Upload to an upload URL", tags=UPLOADS,
             **LINK, binary=True, answers={200: One[a.Asset], 201: One[a.Asset]}, errors=(403, 409, 410)),

    Endpoint("GET", "/api/v1/folders", folders.list_folders, summary="List folders", tags=FOLDERS, **READ,
             answers={200: Many[a.Folder]}),
    Endpoint("POST", "/api/v1/folders", folders.create_folder, summary="Create a folder", tags=FOLDERS, **WRITE,
             body=bodies.NewFolder, answers={201: One[a.Folder]}, errors=(409,)),
    Endpoint("GET", FOLDER, folders.get_folder, summary="Get a folder", tags=FOLDERS, **READ,
             answers={200: One[a.Folder]}),
    Endpoint("PATCH", FOLDER, folders.change_folder, summary="Change a folder", tags=FOLDERS, **WRITE,
             body=bodies.FolderChanges, versioned=True, answers={200: One[a.Folder]}, errors=(409,)),
    Endpoint("PUT", FOLDER, folders.put_folder, summary="Change a folder (as PATCH)", tags=FOLDERS, **WRITE,
             body=bodies.FolderChanges, versioned=True, answers={200: One[a.Folder]}, errors=(409,)),
    Endpoint("DELETE", FOLDER, folders.delete_folder, summary="Delete a folder", tags=FOLDERS, **WRITE,
             query=bodies.FolderDeletion, answers={200: Done}, errors=(409,)),
)  # fmt: skip
