// SPDX-License-Identifier: Apache-2.0

// What a Prometheus server answers to an instant query, read without trust in its shape:
// {"status":"success","data":{"resultType":"vector","result":[{"metric":{…},"value":[1700000000,"0.42"]}]}}

/** The one number of an answer, or why there is none. */
export type PrometheusValue =
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "none"; readonly reason: string };

/** Reads the answer of `/api/v1/query`. NaN is no data. */
export function readPrometheusAnswer(text: string): PrometheusValue {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return none("answer of the query is not JSON");
  }
  if (member(answer, "status") !== "success") return none("query failed at the server");
  const data = member(answer, "data");
  const result = member(data, "result");
  if (member(data, "resultType") === "scalar") return sampleValue(result);
  if (member(data, "resultType") !== "vector" || !Array.isArray(result)) {
    return none("query gives no vector or scalar");
  }
  if (result.length === 0) return none("query gives no series");
  if (result.length > 1) return none(`query gives ${result.length} series, wanted 1`);
  return sampleValue(member(result[0], "value"));
}

function sampleValue(sample: unknown): PrometheusValue {
  const text: unknown = Array.isArray(sample) ? sample[1] : undefined;
  if (typeof text !== "string") return none("query gives no number");
  const value = infinities[text] ?? Number(text);
  return Number.isNaN(value) || text === "" ? none("query gives NaN") : { kind: "value", value };
}

const infinities: Readonly<Record<string, number>> = {
  "+Inf": Number.POSITIVE_INFINITY,
  "-Inf": Number.NEGATIVE_INFINITY,
};

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function none(reason: string): PrometheusValue {
  return { kind: "none", reason };
}
