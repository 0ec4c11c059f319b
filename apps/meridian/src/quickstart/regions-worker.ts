// SPDX-License-Identifier: Apache-2.0

// The quick start's regions, in a process of their own: a real HTTP server for each, on a loopback address of its own.
//
//   GET  /healthz              200, or 500 once broken
//   GET  /load                 200 with the load in the ORCA header
//   POST /break, /repair       as they say
//   POST /load?value=0.9       sets the load, 0 idle to 1 full
//   GET  anything else         says which region it is
//
// The first argument is the port, 0 for a free one; the port that all of them got is sent to the parent. They end with it.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import { regions, type Region } from "./regions.ts";

/** Ports that are tried where the caller leaves the choice. */
const ATTEMPTS = 20;

interface State {
  isBroken: boolean;
  load: number;
}

process.on("disconnect", () => process.exit(0));
// The terminal sends an interrupt to both processes: the parent decides when to end.
process.on("SIGINT", () => undefined);
try {
  process.send?.({ port: await listenAll(Number(process.argv[2] ?? 0)) });
} catch (error) {
  process.send?.({ error: error instanceof Error ? error.message : String(error) });
}

/** Binds one port on the addresses of all regions. */
async function listenAll(wanted: number): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const servers: Server[] = [];
    let port = wanted;
    try {
      for (const region of regions) {
        const server = serverOf(region);
        servers.push(server);
        server.listen(port, region.address);
        await once(server, "listening");
        const address = server.address();
        if (typeof address === "object" && address !== null) port = address.port;
      }
      return port;
    } catch (error) {
      for (const server of servers) server.close();
      if (wanted !== 0 || attempt === ATTEMPTS) throw error;
    }
  }
}

function serverOf(region: Region): Server {
  const state: State = { isBroken: false, load: region.load };
  return createServer((request, response) => answer(region, state, request, response));
}

function answer(
  region: Region,
  state: State,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  request.resume();
  const url = new URL(request.url ?? "/", "http://region");
  if (request.method === "POST") {
    const problem = change(state, url);
    response.statusCode = problem === undefined ? 200 : 400;
    response.end(`${problem ?? describe(region, state)}\n`);
    return;
  }
  response.statusCode = state.isBroken ? 500 : 200;
  response.setHeader("endpoint-load-metrics", `TEXT application_utilization=${state.load}`);
  response.end(`${describe(region, state)}\n`);
}

/** Does what a POST asks for; the reason where it cannot. */
function change(state: State, url: URL): string | undefined {
  switch (url.pathname) {
    case "/break":
      state.isBroken = true;
      return undefined;
    case "/repair":
      state.isBroken = false;
      return undefined;
    case "/load": {
      const load = Number(url.searchParams.get("value") ?? Number.NaN);
      if (!(load >= 0 && load <= 1)) return "Cannot set the load: expected /load?value=0 to 1";
      state.load = load;
      return undefined;
    }
    default:
      return `Cannot do "${url.pathname}": expected /break, /repair or /load?value=0.9`;
  }
}

function describe(region: Region, state: State): string {
  return `region ${region.name}: ${state.isBroken ? "broken" : "well"}, load ${state.load}`;
}
