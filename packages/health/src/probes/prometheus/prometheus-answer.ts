// SPDX-License-Identifier: Apache-2.0

// What a Prometheus server answers to an instant query, read without trust in its shape:
// {"status":"success","data":{"resultType":"vector","result":[{"metric":{…},"value":[1700000000,"0.42"]}]}}

/** The one number of an answer, or why there is none. */
export type PrometheusValue =
  | { readonly kind: "value"; readonly value: number }
  | { readonly kind: "none"; readonly reason: string };

/** One series of an answer. */
export interface PrometheusSample {
  /** As the server says them; none for a scalar. */
  readonly labels: Readonly<Record<string, string>>;
  /** May be NaN or infinite. */
  readonly value: number;
}

/** The series of an answer, or why there are none. */
export type PrometheusSeries =
  | { readonly kind: "series"; readonly samples: readonly PrometheusSample[] }
  | { readonly kind: "none"; readonly reason: string };

/** Reads the answer of `/api/v1/query` where one number is wanted. NaN is no data. */
export function readPrometheusAnswer(text: string): PrometheusValue {
  const answer = readPrometheusSeries(text);
  if (answer.kind === "none") return answer;
  const [sample] = answer.samples;
  const count = answer.samples.length;
  if (sample === undefined) return none("query gives no series");
  if (count > 1) return none(`query gives ${count} series, wanted 1`);
  return Number.isNaN(sample.value)
    ? none("query gives NaN")
    : { kind: "value", value: sample.value };
}

/** Reads the answer of `/api/v1/query`: a vector, or a scalar as one series without labels. */
export function readPrometheusSeries(text: string): PrometheusSeries {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return none("answer of the query is not JSON");
  }
  if (member(answer, "status") !== "success") return none("query failed at the server");
  const data = member(answer, "data");
  const result = member(data, "result");
  if (member(data, "resultType") === "scalar") return series([{ value: result }]);
  if (member(data, "resultType") !== "vector" || !Array.isArray(result)) {
    return none("query gives no vector or scalar");
  }
  return series(result);
}

function series(result: readonly unknown[]): PrometheusSeries {
  const samples: PrometheusSample[] = [];
  for (const each of result) {
    const value = numberOf(member(each, "value"));
    if (value === undefined) return none("query gives no number");
    const metric = member(each, "metric");
    const labels = typeof metric === "object" && metric !== null ? Object.entries(metric) : [];
    samples.push({
      labels: Object.fromEntries(labels.map(([name, label]) => [name, String(label)])),
      value,
    });
  }
  return { kind: "series", samples };
}

/** Of a pair of time and text; undefined where it is none. */
function numberOf(sample: unknown): number | undefined {
  const text: unknown = Array.isArray(sample) ? sample[1] : undefined;
  if (typeof text !== "string" || text === "") return undefined;
  const value = infinities[text] ?? Number(text);
  return Number.isNaN(value) && text !== "NaN" ? undefined : value;
}

const infinities: Readonly<Record<string, number>> = {
  "+Inf": Number.POSITIVE_INFINITY,
  "-Inf": Number.NEGATIVE_INFINITY,
};

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function none(reason: string): { readonly kind: "none"; readonly reason: string } {
  return { kind: "none", reason };
}
