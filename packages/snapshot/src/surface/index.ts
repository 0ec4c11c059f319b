// SPDX-License-Identifier: Apache-2.0
export type { EdgeFigures, EdgeFiguresSource } from "./edge-figures.ts";
export {
  explain,
  type ExplainBudget,
  type ExplainQuestion,
  type ExplainShard,
  type ExplainSigning,
  type ExplainView,
  type Explanation,
} from "./explain.ts";
export { budgetText, explainText } from "./explain-text.ts";
export {
  explainRequest,
  parseClient,
  type ExplainSource,
  type Moment,
  type TimedView,
} from "./explain-request.ts";
export { pageOf, parsePageRequest, type Page, type PageRequest } from "./page.ts";
export { branchesOf, policyCounts } from "./policy-counts.ts";
export {
  METRICS_TYPE,
  metricsText,
  type Metric,
  type MetricDefinition,
  type Sample,
} from "./metric.ts";
export { servedMetrics, topNameMetric, type ServedReading } from "./served-metrics.ts";
export { queryCount } from "./query-count.ts";
export { replayAnswer, type ReplayedLine } from "./replayed-line.ts";
export { slotState, type SlotState } from "./slot-state.ts";
