// SPDX-License-Identifier: Apache-2.0

import { request as requestHttp, type ClientRequest } from "node:http";
import { request as requestHttps } from "node:https";
import type { ProbeTarget, PrometheusCheck } from "../../check.ts";
import { PROMETHEUS_BODY_BYTES_MAX } from "../../limits.ts";
import type { Probe, ProbeResult } from "../../probe.ts";
import { socketReason } from "../socket-reason.ts";
import { readPrometheusAnswer, type PrometheusValue } from "./prometheus-answer.ts";

/** Asks a Prometheus server for one number and compares it. */
export class PrometheusProbe implements Probe {
  readonly #check: PrometheusCheck;
  readonly #url: URL | undefined;
  #request: ClientRequest | undefined;

  constructor(target: ProbeTarget, check: PrometheusCheck) {
    this.#check = check;
    const base = URL.parse(check.url);
    this.#url = base === null ? undefined : queryUrl(base, expandQuery(check.query, target));
  }

  run(done: (result: ProbeResult) => void): void {
    const url = this.#url;
    if (url === undefined) {
      done(this.#judge(noData("address of the Prometheus server is not valid")));
      return;
    }
    const open = url.protocol === "https:" ? requestHttps : requestHttp;
    const request = open(url, { agent: false, maxHeaderSize: 16_384 });
    this.#request = request;
    const finish = (value: PrometheusValue): void => {
      if (this.#request !== request) return;
      this.#request = undefined;
      request.destroy();
      done(this.#judge(value));
    };
    request.on("error", (error) => {
      finish(noData(`Prometheus server: ${socketReason(error)}`));
    });
    request.on("response", (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text += piece;
        if (text.length > PROMETHEUS_BODY_BYTES_MAX) finish(noData("answer is too long"));
      });
      response.on("error", (error) => {
        finish(noData(`Prometheus server: ${socketReason(error)}`));
      });
      response.on("end", () => {
        const { statusCode } = response;
        if (statusCode === 200) finish(readPrometheusAnswer(text));
        else finish(noData(`Prometheus server: HTTP status ${statusCode ?? 0}`));
      });
    });
    request.end();
  }

  cancel(): void {
    const request = this.#request;
    this.#request = undefined;
    request?.destroy();
  }

  close(): void {
    this.cancel();
  }

  /** What an answer, or none, means for the endpoint. The caller also asks this when the time is up. */
  #judge(found: PrometheusValue): ProbeResult {
    if (found.kind === "none") {
      return { outcome: insufficientOutcome(this.#check), reason: found.reason };
    }
    const { comparison, threshold } = this.#check;
    const holds = compare(found.value, comparison, threshold);
    const outcome = holds ? "pass" : "fail";
    const reason = `value ${found.value} is ${holds ? "" : "not "}${comparison} ${threshold}`;
    if (this.#check.reportsLoad !== true || !(found.value >= 0)) return { outcome, reason };
    return { outcome, reason, load: { load: found.value, source: "prometheus" } };
  }
}

/** What it means for an endpoint under `check` that there is no data. */
export function insufficientOutcome(check: PrometheusCheck): ProbeResult["outcome"] {
  switch (check.insufficientData) {
    case "healthy":
      return "pass";
    case "unhealthy":
      return "fail";
    case "lastKnown":
      return "hold";
  }
}

function compare(
  value: number,
  comparison: PrometheusCheck["comparison"],
  threshold: number,
): boolean {
  switch (comparison) {
    case "gt":
      return value > threshold;
    case "ge":
      return value >= threshold;
    case "lt":
      return value < threshold;
    case "le":
      return value <= threshold;
    case "eq":
      return value === threshold;
  }
}

function queryUrl(base: URL, query: string): URL {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/api/v1/query`;
  url.searchParams.set("query", query);
  return url;
}

function expandQuery(query: string, target: ProbeTarget): string {
  return query
    .replaceAll("{address}", target.address)
    .replaceAll("{host}", target.hostName ?? target.address)
    .replaceAll("{port}", String(target.port))
    .replaceAll("{site}", target.site ?? "")
    .replaceAll("{endpoint}", target.key);
}

function noData(reason: string): PrometheusValue {
  return { kind: "none", reason };
}
