"""All use cases in one hand, as the sockets and the API receive them."""

from dataclasses import dataclass

from hub.services.access import Access
from hub.services.accounts import Accounts
from hub.services.alert_rules import AlertRules
from hub.services.alerts import Alerts
from hub.services.analytics import Analytics
from hub.services.batches import Batches
from hub.services.campaigns import Campaigns
from hub.services.cap import Cap
from hub.services.commands import Commands
from hub.services.content import Content
from hub.services.direct_uploads import DirectUploads
from hub.services.downloads import Downloads
from hub.services.events import Events
from hub.services.exports import Exports
from hub.services.feed import Feed
from hub.services.folders import Folders
from hub.services.incidents import Incidents
from hub.services.jwt import Tokens
from hub.services.layouts import Layouts
from hub.services.licences import Licences
from hub.services.locations import Locations
from hub.services.members import Members
from hub.services.oauth import OAuth
from hub.services.oauth_clients import OAuthClients
from hub.services.outgoing import Outgoing
from hub.services.pairing import PairingService
from hub.services.player_uploads import Uploads
from hub.services.players import Players
from hub.services.playlists import Playlists
from hub.services.polling_players import Polling
from hub.services.presence import PresenceService
from hub.services.programs import Programs
from hub.services.quotas import Places, TeamQuotas
from hub.services.releases import Releases
from hub.services.schedules import Schedules
from hub.services.screenshots import Screenshots
from hub.services.teams import Teams
from hub.services.waiting import Patience
from hub.services.webhooks import Webhooks


@dataclass(frozen=True, slots=True)
class Services:
    access: Access
    accounts: Accounts
    members: Members
    tokens: Tokens
    players: Players
    presence: PresenceService
    programs: Programs
    commands: Commands
    batches: Batches
    uploads: Uploads
    screenshots: Screenshots
    pairing: PairingService
    polling: Polling
    events: Events
    feed: Feed
    webhooks: Webhooks
    alerts: Alerts
    cap: Cap
    alert_rules: AlertRules
    incidents: Incidents
    releases: Releases
    licences: Licences
    oauth: OAuth
    oauth_clients: OAuthClients
    content: Content
    downloads: Downloads
    outgoing: Outgoing
    folders: Folders
    direct_uploads: DirectUploads
    playlists: Playlists
    layouts: Layouts
    schedules: Schedules
    locations: Locations
    campaigns: Campaigns
    analytics: Analytics
    exports: Exports
    quotas: TeamQuotas
    teams: Teams
    streams: Places
    waits: Places
    patience: Patience
