// SPDX-License-Identifier: Apache-2.0

// Open Request Cost Aggregation (xds.data.orca.v3.OrcaLoadReport) in an HTTP response header, in the two text forms
// that Envoy accepts: `TEXT cpu_utilization=0.3,mem_utilization=0.8` and `JSON {"cpu_utilization": 0.3}`. A bare list is taken as TEXT.

/** Header that carries the report. */
export const orcaHeaderName = "endpoint-load-metrics";

const prefix = /^(TEXT|JSON)[ \t/]+/;

/**
 * Load of a report, or undefined where it has none. Without `metric` application_utilization counts where it is positive, else
 * cpu_utilization (gRFC A58). Named metrics are `named_metrics.NAME` in text, nested in JSON.
 */
export function readOrcaLoad(header: string, metric: string | undefined): number | undefined {
  const match = prefix.exec(header);
  const text = match === null ? header : header.slice(match[0].length);
  const read = match?.[1] === "JSON" ? readJson(text) : readText(text);
  if (metric !== undefined) return validLoad(read(metric));
  const application = validLoad(read("application_utilization"));
  if (application !== undefined && application > 0) return application;
  return validLoad(read("cpu_utilization")) ?? application;
}

type Reader = (name: string) => number | undefined;

function readText(text: string): Reader {
  const values = new Map<string, number>();
  for (const part of text.split(",")) {
    const equals = part.indexOf("=");
    if (equals <= 0) continue;
    const value = part.slice(equals + 1).trim();
    if (value !== "") values.set(part.slice(0, equals).trim(), Number(value));
  }
  return (name) => values.get(name);
}

function readJson(text: string): Reader {
  let report: unknown;
  try {
    report = JSON.parse(text);
  } catch {
    return () => undefined;
  }
  return (name) => {
    let value: unknown = report;
    for (const part of name.split(".")) value = memberOf(value, part);
    return typeof value === "number" ? value : undefined;
  };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function validLoad(value: number | undefined): number | undefined {
  return value !== undefined && Number.isFinite(value) && value >= 0 ? value : undefined;
}
