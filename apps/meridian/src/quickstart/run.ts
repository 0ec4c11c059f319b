// SPDX-License-Identifier: Apache-2.0

// `meridian quickstart`: three regions, a server, and a table of what happens, until it is stopped.

import { join } from "node:path";
import type { CommandInput } from "../command.ts";
import { whenStopped } from "../stop-signal.ts";
import { splitServer } from "../dns-question.ts";
import { ExitCode } from "../exit-code.ts";
import { ApiClient } from "../api-client.ts";
import { print } from "../output.ts";
import { Server } from "../server.ts";
import { httpOf, listenOf, stateDirOf, workersOf } from "../server-settings.ts";
import { Clients } from "./clients.ts";
import { documentsFor, triedDocuments } from "./documents.ts";
import { places } from "./places.ts";
import { REGION_PORT, Regions, regions } from "./regions.ts";
import { LiveTable } from "./live-table.ts";

const QPS_MAX = 10_000;
const names = ["geo.example.org", "canary.example.org", "gpu.example.org"] as const;

export async function runQuickstart(input: CommandInput): Promise<ExitCode> {
  const stopped = whenStopped();
  const stateDir = stateDirOf(input);
  const qps = input.wholeNumber("traffic", 0, QPS_MAX) ?? 0;
  const started = await startRegions();
  try {
    const server = await Server.start({
      files: [documentsFor(started.port, join(stateDir, "quickstart"))],
      stateDir,
      listen: listenOf(input),
      http: httpOf(input),
      access: {},
      workers: workersOf(input),
      transport: "auto",
      logLevel: "warn",
      queryLog: undefined,
      replace: false,
      allowEmpty: false,
      probing: input.flag("probing"),
    });
    const api = new ApiClient({ stateDir });
    await api.post("/v1/apply", triedDocuments());
    const address = server.addresses[0] ?? "";
    for (const line of introduction(address, started.port, input.text("state"), server.httpAddress))
      print(line);
    const clients = qps === 0 ? undefined : new Clients(splitServer(address), names, qps);
    const table = new LiveTable(api, qps);
    table.start();
    await stopped;
    table.close();
    clients?.close();
    await server.close();
  } finally {
    started.close();
  }
  return ExitCode.done;
}

/** On the documents' own port, or on a free one where something else has that. */
async function startRegions(): Promise<Regions> {
  try {
    return await Regions.start(REGION_PORT);
  } catch {
    return Regions.start(0);
  }
}

/** What to try, as commands that can be pasted. */
function introduction(
  address: string,
  regionPort: number,
  state: string | undefined,
  http: string | undefined,
): string[] {
  const { host, port } = splitServer(address);
  const dig = `dig @${host} -p ${port}`;
  const stateFlag = state === undefined ? "" : ` --state ${state}`;
  const region = regions[0]?.address ?? "";
  const loaded = regions[1]?.address ?? "";
  const client = places[0]?.subnet.replace("0/24", "139") ?? "";
  return [
    `Meridian answers DNS on ${address}. Ask as a client in another place:`,
    "",
    ...places.map(
      ({ name, subnet }) => `  ${dig} geo.example.org +subnet=${subnet}`.padEnd(72) + `# ${name}`,
    ),
    `  ${dig} canary.example.org +subnet=198.18.7.0/24`.padEnd(72) +
      "# 9 prefixes in 10 see the old version",
    `  ${dig} gpu.example.org +subnet=198.18.7.0/24`.padEnd(72) + "# by free capacity",
    "",
    "Break a region, see it leave the answers within about two seconds, and repair it:",
    "",
    `  curl -X POST http://${region}:${regionPort}/break`,
    `  curl -X POST http://${region}:${regionPort}/repair`,
    `  curl -X POST "http://${loaded}:${regionPort}/load?value=0.9"`,
    "",
    "Ask why, and move traffic away by hand:",
    "",
    `  ./bin/meridian explain geo.example.org --client ${client}${stateFlag}`,
    `  ./bin/meridian drain site/eu --reason "trying it" --for 5m${stateFlag}`,
    `  ./bin/meridian undrain site/eu${stateFlag}`,
    ...(http === undefined ? [] : [`  curl ${http}/metrics`]),
    "",
    "A shift, a routing control and a recovery plan, each with its timeline drawn on a page:",
    "",
    ...["shift-eu", "switch-us", "recover-eu"].map(
      (plan) =>
        `  ./bin/meridian recovery run ${plan} --wait --yes --reason "trying it" --page ${plan}.html${stateFlag}`,
    ),
    "",
    "Stop with Ctrl-C.",
    "",
  ];
}
