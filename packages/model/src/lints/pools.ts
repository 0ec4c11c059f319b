// SPDX-License-Identifier: Apache-2.0
import type { Model, Pool } from "../model.ts";
import type { Report } from "../report.ts";

/** Warns of pools and checks whose settings cannot do what they seem to. */
export function lintPools(model: Model, report: Report): void {
  for (const pool of model.pools.values()) lintPool(model, pool, report);
  lintChecks(model, report);
}

function lintChecks(model: Model, report: Report): void {
  for (const check of model.checks.values()) {
    const { calculated, disabled } = check.spec;
    const children = calculated?.children.length ?? 0;
    if (calculated !== undefined && calculated.minHealthy > children) {
      report.warning(check, {
        code: "threshold-unreachable",
        path: ["spec", "calculated", "minHealthy"],
        found: calculated.minHealthy,
        wanted: `at most ${children}, as many as there are children; else it is never healthy`,
      });
    }
    if (disabled) {
      const wanted = "false, so that endpoints are judged";
      const path = ["spec", "disabled"];
      report.warning(check, { code: "health-ignored", path, found: true, wanted });
    }
  }
}

/** Warns of one pool. */
export function lintPool(model: Model, { document, members }: Pool, report: Report): void {
  const { healthCheck, evaluateHealth, minHealthy } = document.spec;
  const specs = [...members.values()].map(({ spec }) => spec);
  if (healthCheck !== undefined && !evaluateHealth) {
    const path = ["spec", "evaluateHealth"];
    const wanted = "true, so that unhealthy members leave answers";
    report.warning(document, { code: "health-ignored", path, found: false, wanted });
  }
  if (specs.length > 0 && specs.every(({ weight }) => weight === 0)) {
    report.warning(document, {
      code: "weight-zero",
      path: ["spec", "members"],
      found: "of weight 0 everywhere, which shares equally",
      said: true,
      wanted: "a weight above 0",
    });
  }
  lintLoad(model, document, report);
  const count = minHealthy?.count ?? 0;
  if (count > specs.length) {
    report.warning(document, {
      code: "threshold-unreachable",
      path: ["spec", "minHealthy", "count"],
      found: count,
      wanted: `at most ${specs.length}, as many as there are members; else it is never healthy`,
    });
  }
  const vantages = healthCheck === undefined ? undefined : checkVantages(model, document);
  if (vantages !== undefined && vantages.wanted > vantages.there) {
    report.warning(document, {
      code: "threshold-unreachable",
      path: ["spec", "healthCheck"],
      found: `a check with minVantages ${vantages.wanted}`,
      said: true,
      wanted: `at most ${vantages.there}, as many as it names`,
    });
  }
}

/** Load that comes with probes comes from where they ask, whatever the pool says. */
function lintLoad(model: Model, document: Pool["document"], report: Report): void {
  const { load, healthCheck = "" } = document.spec;
  const kind = load?.orca === undefined ? "json" : "orca";
  const source = load?.[kind];
  if (source === undefined) return;
  const check = model.check(document.metadata.namespace, healthCheck)?.spec;
  const http = check?.http ?? check?.https;
  if (http === undefined) {
    report.warning(document, {
      code: "load-unread",
      path: ["spec", "load", kind],
      found: "read from the answers to HTTP probes, of which there are none",
      said: true,
      wanted: "a healthCheck with http or https",
    });
    return;
  }
  const { path, port } = http;
  if (source.path !== "/" && source.path !== path)
    report.warning(document, {
      code: "load-unread",
      path: ["spec", "load", kind, "path"],
      found: source.path,
      wanted: `"${path}", which probes ask for: load is read from their answers`,
    });
  if (source.port !== undefined && source.port !== port)
    report.warning(document, {
      code: "load-unread",
      path: ["spec", "load", kind, "port"],
      found: source.port,
      wanted: `${port ?? "that of the endpoint"}, which probes ask: load is read from their answers`,
    });
}

function checkVantages(
  model: Model,
  { metadata, spec }: Pool["document"],
): { readonly wanted: number; readonly there: number } | undefined {
  const check = model.check(metadata.namespace, spec.healthCheck ?? "")?.spec;
  if (check?.vantages === undefined || check.minVantages === undefined) return undefined;
  return { wanted: check.minVantages, there: check.vantages.length };
}
