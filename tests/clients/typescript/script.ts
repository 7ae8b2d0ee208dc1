// What a program does with the generated TypeScript client, checked by the compiler before it runs.
// Arguments: the hub's address, an API key, a player's id. Prints one JSON object of what it saw.

import createClient from "openapi-fetch";
import type { paths } from "./signalbox.js";

declare const process: { argv: string[] };
const [baseUrl, key, player] = process.argv.slice(2) as [string, string, string];
const client = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
const player_id = Number(player);

function made<T>(answer: { data?: T; error?: { message: string } }): T {
  if (answer.data === undefined) throw new Error(answer.error?.message);
  return answer.data;
}

const asset = made(
  await client.POST("/api/v1/assets", {
    body: { name: "News", type: "web", source_url: "https://news.example.com/" },
  }),
).data;
const playlist = made(
  await client.POST("/api/v1/playlists", {
    body: { name: "Morning", items: [{ asset_id: asset.id, duration: 10 }] },
  }),
).data;
const schedule = made(
  await client.POST("/api/v1/schedules", {
    body: {
      playlist_id: playlist.id,
      days_of_week: [1, 2],
      start_time: "07:00",
      end_time: "11:00",
      targets: [{ type: "player", id: player_id }],
    },
  }),
).data;
const sent = made(
  await client.POST("/api/v1/commands", { body: { player_id, command: "set_volume", payload: { volume: 40 } } }),
);
const command = made(
  await client.GET("/api/v1/commands/{command_id}", {
    params: { path: { command_id: sent.command_id }, header: { Prefer: "wait=30" } },
  }),
).data;

console.log(
  JSON.stringify({
    playlist: [playlist.name, playlist.items.map((item) => [item.asset_id === asset.id, item.duration])],
    schedule: [schedule.playlist_id === playlist.id, schedule.start_time, schedule.targets[0]?.type],
    command: [command.status, command.detail],
  }),
);
