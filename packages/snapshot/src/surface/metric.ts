// SPDX-License-Identifier: Apache-2.0

// Metrics as tables, and their text as Prometheus reads it (text exposition format 0.0.4).

/** One time series: its labels, in the order of the metric's label names, and its value. */
export type Sample = readonly [labels: readonly string[], value: number];

/** A metric as it is documented. */
export interface MetricDefinition {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly labels: readonly string[];
}

/** A metric and how it is read out of what a process knows. */
export interface Metric<Reading> extends MetricDefinition {
  readonly read: (reading: Reading) => readonly Sample[];
}

/** The media type of the text. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Reads every metric now. */
export function metricsText<Reading>(
  metrics: readonly Metric<Reading>[],
  reading: Reading,
): string {
  return metrics.map((metric) => metricText(metric, metric.read(reading))).join("");
}

function metricText(
  { name, type, help, labels }: MetricDefinition,
  samples: readonly Sample[],
): string {
  const lines = [`# HELP ${name} ${help.replaceAll("\\", "\\\\")}`, `# TYPE ${name} ${type}`];
  for (const [values, value] of samples) {
    const pairs = labels.map((label, index) => `${label}="${escaped(values[index] ?? "")}"`);
    lines.push(`${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${numberText(value)}`);
  }
  return `${lines.join("\n")}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

function numberText(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "+Inf" : "-Inf";
}
