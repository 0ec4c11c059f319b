// SPDX-License-Identifier: Apache-2.0

// What is checked and how: plain values that control compiles from HealthCheck documents. Nothing here is validated
// again (the model did that); bounds in the comments are what the runner relies on.

/** What a check says about an endpoint. */
export type Verdict = "unknown" | "healthy" | "unhealthy";

/** Cadence and judgement, the same for every kind of check. */
export interface CheckTiming {
  /** Time between the starts of two probes of one endpoint, ≥ 100. */
  readonly intervalMs: number;
  /** A probe without result after this long has failed, ≤ intervalMs. */
  readonly timeoutMs: number;
  /** Failures that make a healthy endpoint unhealthy, ≥ 1. */
  readonly unhealthyThreshold: number;
  /** Consecutive successes that make an unhealthy endpoint healthy, ≥ 1. */
  readonly healthyThreshold: number;
  /**
   * Consecutive successes that make a healthy endpoint forget earlier failures, ≥ 1; healthyThreshold where absent. 1 means
   * that only consecutive failures count (Route 53, Azure); more is the anti-flap memory of gdnsd.
   */
  readonly okThreshold?: number;
  /** The verdict before the first result. Under `unknown` the first result decides alone, else thresholds count from the start. */
  readonly initial: Verdict;
  /** An endpoint found unhealthy stays so for at least this long. */
  readonly holdDownMs: number;
  /** After `maxFlips` changes within `windowMs` an endpoint found unhealthy stays so for at least `holdMs`. */
  readonly flapDamping?: {
    readonly maxFlips: number;
    readonly windowMs: number;
    readonly holdMs: number;
  };
  /** Healthy and unhealthy change places, after everything else is counted. */
  readonly inverted: boolean;
  /** Never probed; counts as healthy (as unhealthy where inverted too). */
  readonly disabled: boolean;
  /** After a first failure the retries follow at once; thresholds still count. */
  readonly failFast: boolean;
  /** The part of the interval by which a probe may be late on purpose, 0 to 0.05. */
  readonly jitter: number;
  /** `intervalMs` is this many times the check's: what another vantage probes at the check's pace. 1 where absent. */
  readonly slowdown?: number;
  /** The vantages that may judge, by name; all where absent. */
  readonly vantages?: readonly string[];
  /** Below this many fresh vantages the verdict is held; more than half of those that were chosen where absent. */
  readonly minVantages?: number;
  /** Healthy when more than this percentage of the fresh vantages say so; more than half where absent. */
  readonly percentHealthy?: number;
}

/** Inclusive range of HTTP status codes. */
export interface StatusRange {
  readonly from: number;
  readonly to: number;
}

/** Where a load figure between 0 and 1 is read in an HTTP answer. */
export type LoadSource =
  | {
      readonly kind: "orca";
      /** Which utilisation counts; where absent application_utilization, else cpu_utilization (as in gRPC's A58). */
      readonly metric?: string;
      /** The value that means fully loaded; 1 where absent. */
      readonly full?: number;
    }
  | {
      readonly kind: "json";
      /** Dotted path such as `load.cpu` or `queues.0.fill`. */
      readonly path: string;
      /** The same as a JSON pointer (RFC 6901), where a part has a dot or an escape: it counts then. */
      readonly pointer?: string;
      /** The value that means fully loaded; 1 where absent, 100 for percentages. */
      readonly full?: number;
    };

/** An HTTP/1.1 request and what its answer must be. Redirects are never followed. */
export interface HttpFields {
  readonly method: string;
  /** Path with query, starting with `/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Names of secrets by header, that are put in where it is probed (secret-headers.ts). */
  readonly secretHeaders?: Readonly<Record<string, string>>;
  /** Value of Host; the target's hostName, else its address, where absent. */
  readonly host?: string;
  readonly statusRanges: readonly StatusRange[];
  /** Text that must lie wholly within the first 5,120 bytes of the body; case counts. */
  readonly bodyContains?: string;
  /** Use one connection for many probes; otherwise each probe opens its own, which is what clients do. */
  readonly keepAlive: boolean;
  readonly load?: LoadSource;
}

/** How a server must prove who it is. */
export interface TlsFields {
  /** Certificates (PEM) trusted instead of the built-in ones. */
  readonly caPem?: string;
  /** SNI and the name in the certificate; the target's hostName, else its address, where absent. */
  readonly serverName?: string;
  /** Accept any certificate. */
  readonly insecureSkipVerify: boolean;
}

export interface HttpCheck extends CheckTiming, HttpFields {
  readonly kind: "http";
}

export interface HttpsCheck extends CheckTiming, HttpFields, TlsFields {
  readonly kind: "https";
  /** Offer HTTP/2 through ALPN and use it where the server picks it. */
  readonly http2: boolean;
}

export interface TcpCheck extends CheckTiming {
  readonly kind: "tcp";
  /** Sent after connecting. */
  readonly send?: string;
  /** Text that must come back within the first 4,096 bytes. */
  readonly expect?: string;
}

export interface TlsCheck extends CheckTiming, TlsFields {
  readonly kind: "tls";
  /** The certificate must be valid for at least this many days more; 0 for none. */
  readonly minDaysToExpiry: number;
}

export interface GrpcCheck extends CheckTiming, TlsFields {
  readonly kind: "grpc";
  /** Service asked for; empty for the whole server. */
  readonly service: string;
  readonly tls: boolean;
}

export interface DnsCheck extends CheckTiming {
  readonly kind: "dns";
  readonly queryName: string;
  /** `A`, `AAAA`, `SOA`… */
  readonly queryType: string;
  /** Accepted response codes such as `NOERROR`. */
  readonly rcodes: readonly string[];
  /** Text that one record of the answer must contain in presentation form. */
  readonly answerContains?: string;
}

export interface IcmpCheck extends CheckTiming {
  readonly kind: "icmp";
}

export interface PrometheusCheck extends CheckTiming {
  readonly kind: "prometheus";
  /** Address of the server, for example `http://prometheus.example.org:9090`. */
  readonly url: string;
  /** Instant query of one number. `{address}`, `{host}`, `{port}`, `{site}` and `{endpoint}` (its key) stand for the target's. */
  readonly query: string;
  readonly comparison: "gt" | "ge" | "lt" | "le" | "eq";
  /** The endpoint is healthy while `value comparison threshold` holds. */
  readonly threshold: number;
  /** What no data (no series, no answer) means; `lastKnown` without history is healthy. */
  readonly insufficientData: "healthy" | "unhealthy" | "lastKnown";
  /** Report the value as the endpoint's load too. */
  readonly reportsLoad?: boolean;
}

export interface PushCheck extends CheckTiming {
  readonly kind: "push";
  /** A pushed status is believed for this long. */
  readonly staleAfterMs: number;
  readonly onStale: "unknown" | "unhealthy";
}

export interface CalculatedCheck extends CheckTiming {
  readonly kind: "calculated";
  /** Keys of the targets counted. */
  readonly children: readonly string[];
  /** Healthy while at least this many children are; 0 is always healthy, more than there are children never. */
  readonly threshold: number;
}

/** A check of any kind. */
export type CheckSpec =
  | HttpCheck
  | HttpsCheck
  | TcpCheck
  | TlsCheck
  | GrpcCheck
  | DnsCheck
  | IcmpCheck
  | PrometheusCheck
  | PushCheck
  | CalculatedCheck;

/** The cadence used where a document says nothing. */
export const defaultTiming: CheckTiming = {
  intervalMs: 10_000,
  timeoutMs: 2000,
  unhealthyThreshold: 3,
  healthyThreshold: 2,
  initial: "unknown",
  holdDownMs: 0,
  inverted: false,
  disabled: false,
  failFast: false,
  jitter: 0.05,
};

/** The request used where a document says nothing. */
export const defaultHttpFields: HttpFields = {
  method: "GET",
  path: "/",
  headers: {},
  statusRanges: [{ from: 200, to: 299 }],
  keepAlive: false,
};

/** Comes between the key of an endpoint and the name of a check, in keys of the children of its calculated check. */
export const CHILD_MARK = "#";

/** One endpoint under one check. */
export interface ProbeTarget {
  /** Stable name such as `endpoint/default/web/eu-1`; unique among the targets of a runner. */
  readonly key: string;
  readonly checkName: string;
  readonly check: CheckSpec;
  /** IP address in text form. */
  readonly address: string;
  /** Host and SNI where the check names none. */
  readonly hostName?: string;
  readonly port: number;
  /** Site of the endpoint; self-suspicion wants failures in several. */
  readonly site?: string;
}

/**
 * Longest time from the death of an endpoint to its verdict, by this check's cadence (design §8). Hold-down and damping delay
 * only the way back, so they do not count.
 */
export function detectionBoundMs(check: CheckTiming, slackMs: number): number {
  const rounds = check.intervalMs * (1 + check.jitter) * check.unhealthyThreshold;
  return rounds + check.timeoutMs + slackMs;
}
