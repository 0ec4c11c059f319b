// SPDX-License-Identifier: Apache-2.0
// Service types of gdnsd as HealthChecks.
import { documentName, type ImportReport } from "./imported.ts";
import { textAt, textsOf, type VscfHash } from "./vscf.ts";

/** The greatest threshold that a HealthCheck has. */
const THRESHOLD_MAX = 10;
const known: ReadonlySet<string> = new Set([
  ...["plugin", "interval", "timeout", "up_thresh", "ok_thresh", "down_thresh"],
  ...["port", "vhost", "url_path", "ok_codes"],
]);

/** Adds a HealthCheck for each service type that has a counterpart; its name by that of the type. */
export function addChecks(
  types: VscfHash,
  file: string,
  report: ImportReport,
): Map<string, string> {
  const checks = new Map<string, string>();
  for (const [type, value] of types.entries) {
    const skip = (what: string, why: string): void =>
      report.skip(file, value.line, `${what} of service type "${type}"`, why);
    if (value.kind !== "hash") continue;
    const probe = probeOf(value);
    if (probe === undefined) {
      skip(
        `plug-in ${textAt(value, "plugin") ?? ""}`,
        "There is no such probe here; its members are not checked",
      );
      continue;
    }
    for (const name of value.entries.keys())
      if (!known.has(name)) skip(name, "It has no counterpart");
    const threshold = (name: string, otherwise: number): number => {
      const wanted = Number(textAt(value, name) ?? otherwise);
      if (wanted > THRESHOLD_MAX)
        skip(`${name} ${wanted}`, `${THRESHOLD_MAX} is the greatest here, and taken`);
      return Math.min(wanted, THRESHOLD_MAX);
    };
    if (value.entries.has("ok_thresh"))
      skip("ok_thresh", "Failures are forgotten by flapDamping or not at all");
    const interval = Number(textAt(value, "interval") ?? 10);
    const timeout = Number(textAt(value, "timeout") ?? Math.max(1, Math.floor(interval / 2)));
    const name = documentName(type);
    checks.set(type, name);
    report.document("HealthCheck", name, {
      ...probe,
      interval: `${interval}s`,
      timeout: `${timeout}s`,
      healthyThreshold: threshold("up_thresh", 20),
      unhealthyThreshold: threshold("down_thresh", 10),
    });
  }
  return checks;
}

function probeOf(type: VscfHash): Readonly<Record<string, unknown>> | undefined {
  const port = Number(textAt(type, "port") ?? 80);
  const host = textAt(type, "vhost");
  const codes = textsOf(type.entries.get("ok_codes"));
  switch (textAt(type, "plugin")) {
    case "tcp_connect":
      return { tcp: { port } };
    case "http_status":
      return {
        http: {
          port,
          path: textAt(type, "url_path") ?? "/",
          ...(host === undefined ? {} : { host }),
          expectedStatus: codes.length === 0 ? ["200"] : codes,
        },
      };
    default:
      return undefined;
  }
}
