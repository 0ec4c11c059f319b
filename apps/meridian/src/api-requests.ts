// SPDX-License-Identifier: Apache-2.0

// Made from the description of the API (packages/control/src/http/client-types.ts); a test keeps it so.

export type Documents = {
  readonly revision: number;
  readonly items: readonly Document[];
  readonly continue?: string;
};

export type Document = {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly resourceVersion?: string;
    readonly creationRevision?: string;
    readonly owner?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly line?: number;
  };
  readonly spec: unknown;
};

export type Applied = {
  readonly revision: number;
  readonly snapshot: number;
  readonly dryRun: boolean;
  readonly changes: readonly Change[];
  readonly warnings: readonly DocumentProblem[];
  readonly publication: "live" | "pending" | "withdrawn";
};

export type Change = {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly change: "created" | "configured" | "unchanged" | "deleted";
};

export type DocumentProblem = {
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly document: string;
  readonly path: string;
  readonly message: string;
  readonly found?: string;
  readonly wanted?: string;
  readonly suggestion?: string;
};

export type Difference = {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly change: "created" | "configured" | "unchanged" | "deleted";
  readonly differences: readonly {
    readonly path: string;
    readonly before?: unknown;
    readonly after?: unknown;
  }[];
};

export type PlannedNames = {
  readonly compared: number;
  readonly isComplete: boolean;
  readonly changedCount: number;
  readonly changed: readonly {
    readonly name: string;
    readonly change: "created" | "removed" | "changed";
    readonly records: boolean;
    readonly ttl?: { readonly before: number; readonly after: number };
    readonly audiences: readonly {
      readonly audience: string;
      readonly moved: number;
      readonly before: readonly { readonly target: string; readonly share: number }[];
      readonly after: readonly { readonly target: string; readonly share: number }[];
    }[];
  }[];
};

export type PlannedBudget = {
  readonly name: string;
  readonly detectionMs: number;
  readonly decisionMs: number;
  readonly publishMs: number;
  readonly ttlMs: number;
  readonly drainMs: number;
  readonly totalMs: number;
};

export type PlannedTraffic = {
  readonly profile: string;
  readonly unit: string;
  readonly total: number;
  readonly withheld: { readonly before: number; readonly after: number };
  readonly loads: readonly {
    readonly target: string;
    readonly before: number;
    readonly after: number;
    readonly error: number;
    readonly capacity?: number;
    readonly isOver: boolean;
    readonly wasOver: boolean;
  }[];
  readonly flows: readonly { readonly from: string; readonly to: string; readonly load: number }[];
  readonly course: {
    readonly caches: number;
    readonly seconds: readonly number[];
    readonly places: readonly { readonly target: string; readonly loads: readonly number[] }[];
    readonly stale: readonly number[];
    readonly drained: {
      readonly half?: number;
      readonly most?: number;
      readonly nearlyAll?: number;
    };
  };
  readonly undecided: readonly { readonly demand: string; readonly reason: string }[];
};

export type Who = {
  readonly subject: string;
  readonly token?: string;
  readonly address?: string;
  readonly actor?: string;
};

export type FileProblem = {
  readonly severity: "error" | "warning";
  readonly code: string;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly path: string;
  readonly message: string;
  readonly found?: string;
  readonly wanted?: string;
  readonly suggestion?: string;
};

export type Control = {
  readonly name: string;
  readonly role: "leader" | "follower" | "away";
  readonly standing?: "agrees" | "waits" | "differs";
  readonly epoch?: number;
  readonly revision?: number;
  readonly storeRevision?: number;
  readonly storeAgeMs?: number;
  readonly version?: string;
  readonly address: string;
  readonly certificateEndsMs?: number;
  readonly authorityEndsMs?: number;
};

export type Edge = {
  readonly name: string;
  readonly connected: boolean;
  readonly standing: "serving" | "behind" | "silent" | "revoked";
  readonly epoch?: number;
  readonly revision?: number;
  readonly sequence?: number;
  readonly lastWordMs?: number;
  readonly version?: string;
  readonly address?: string;
  readonly dns?: readonly string[];
  readonly staleMs?: number;
  readonly answers?: {
    readonly queriesPerSecond: number;
    readonly servfailShare: number;
    readonly emptyShare: number;
  };
  readonly hash?: string;
  readonly cell?: string;
  readonly certificateEndsMs?: number;
  readonly control?: string;
  readonly disk?: { readonly what: string; readonly reason: string; readonly sinceMs: number };
};

export type Shard = {
  readonly name: string;
  readonly cell: string;
  readonly unit: string;
  readonly edges: readonly string[];
  readonly nameServers: readonly string[];
  readonly leaving: readonly string[];
  readonly zones: number;
  readonly overlap: number;
};

export type SecondaryZone = {
  readonly name: string;
  readonly zone: string;
  readonly state: string;
  readonly serial?: number;
  readonly primary?: string;
  readonly takenMs?: number;
  readonly expiresMs?: number;
  readonly refreshedMs?: number;
  readonly nextMs?: number;
  readonly failures: number;
  readonly error?: string;
};

export type SignedZone = {
  readonly name: string;
  readonly zone: string;
  readonly denial: string;
  readonly isLeaving: boolean;
  readonly keys: readonly {
    readonly keyTag: number;
    readonly role: string;
    readonly algorithm: string;
    readonly stage: string;
    readonly publishedMs: number;
    readonly next: string;
    readonly nextMs?: number;
  }[];
  readonly ds: readonly string[];
  readonly cdnskey: readonly string[];
  readonly isParentDone?: boolean;
  readonly signaturesEndMs: number;
};

export type EdgeBehind = {
  readonly name: string;
  readonly revision: number;
  readonly silentMs?: number;
};

export type Endpoint = {
  readonly endpoint: string;
  readonly address: string;
  readonly site: string;
  readonly verdict: "unknown" | "healthy" | "unhealthy" | "unchecked";
  readonly reason: string;
  readonly sinceMs?: number;
  readonly admin: string;
  readonly dial: number;
  readonly capacityFactor: number;
  readonly changeSeconds: number;
  readonly answers: number;
};

export type Witness = {
  readonly vantage: string;
  readonly verdict: "unknown" | "healthy" | "unhealthy";
  readonly reason: string;
  readonly sinceMs: number;
  readonly counts: boolean;
};

export type RecoveryPlanRow = {
  readonly name: string;
  readonly description: string;
  readonly steps: number;
  readonly triggers: number;
  readonly findings: readonly {
    readonly severity: "error" | "warning";
    readonly step: string;
    readonly message: string;
  }[];
  readonly objectiveMs?: number;
  readonly lastRun?: string;
  readonly lastState?: string;
  readonly lastAtMs?: number;
};

export type RecoveryRunRow = {
  readonly name: string;
  readonly id: string;
  readonly mode: "graceful" | "ungraceful";
  readonly state: "running" | "paused" | "completed" | "canceled" | "rolled-back";
  readonly isRollingBack: boolean;
  readonly actor: string;
  readonly reason: string;
  readonly trigger?: string;
  readonly createdAtMs: number;
  readonly sinceMs: number;
  readonly endedAtMs?: number;
  readonly recoveryMs?: number;
  readonly objectiveMs?: number;
  readonly isMet?: boolean;
  readonly names: readonly string[];
  readonly steps: number;
  readonly done: number;
  readonly current: string;
};

export type RecoveryReport = {
  readonly name: string;
  readonly id: string;
  readonly mode: "graceful" | "ungraceful";
  readonly state: "running" | "paused" | "completed" | "canceled" | "rolled-back";
  readonly isRollingBack: boolean;
  readonly actor: string;
  readonly reason: string;
  readonly trigger?: string;
  readonly createdAtMs: number;
  readonly sinceMs: number;
  readonly endedAtMs?: number;
  readonly recoveryMs?: number;
  readonly objectiveMs?: number;
  readonly isMet?: boolean;
  readonly names: readonly string[];
  readonly phases: readonly {
    readonly name: "detection" | "decision" | "propagation" | "drain" | "health";
    readonly fromMs: number;
    readonly toMs: number;
  }[];
  readonly steps: readonly {
    readonly name: string;
    readonly kind: string;
    readonly state: "waiting" | "running" | "done" | "failed" | "skipped" | "undoing" | "undone";
    readonly startedAtMs?: number;
    readonly endedAtMs?: number;
    readonly tries: number;
    readonly detail: string;
    readonly canBeUndone: boolean;
  }[];
  readonly events: readonly {
    readonly atMs: number;
    readonly actor: string;
    readonly what: string;
    readonly step?: string;
    readonly reason: string;
  }[];
  readonly page?: string;
};

export type RoutingControlState = {
  readonly name: string;
  readonly panel: string;
  readonly state: "On" | "Off";
  readonly changedAtMs: number;
  readonly actor: string;
  readonly reason: string;
  readonly targets: readonly string[];
  readonly rules: readonly string[];
  readonly handover?: {
    readonly wanted: "On" | "Off";
    readonly startedAtMs: number;
    readonly waitsFor: readonly {
      readonly who: string;
      readonly why: string;
      readonly forMs?: number;
    }[];
  };
};

export type RolloutState = {
  readonly name: string;
  readonly target: string;
  readonly phase: "idle" | "progressing" | "waiting" | "paused" | "succeeded" | "aborted";
  readonly wave: number;
  readonly waves: number;
  readonly site?: string;
  readonly step: number;
  readonly steps: number;
  readonly weight: number;
  readonly reason: string;
  readonly actor: string;
  readonly startedAtMs: number;
  readonly changedAtMs: number;
  readonly analyses: readonly {
    readonly name: string;
    readonly successes: number;
    readonly failures: number;
    readonly inconclusives: number;
    readonly errors: number;
    readonly empty: number;
    readonly lastMs: number;
    readonly last: string;
  }[];
  readonly earliestEndMs?: number;
  readonly edges?: {
    readonly waiting: readonly EdgeBehind[];
    readonly silent: readonly EdgeBehind[];
  };
  readonly promotions: number;
};

export type RunningShift = {
  readonly id: string;
  readonly target: string;
  readonly percent: number;
  readonly reason: string;
  readonly actor: string;
  readonly createdAtMs: number;
  readonly startsAtMs?: number;
  readonly expiresAtMs: number;
  readonly return?: { readonly percent: number; readonly everyMs: number };
  readonly precedence?: "manual" | "automatic" | "experiment" | "drill";
  readonly moves?: number;
  readonly overruledBy?: string;
  readonly ttlLoweredAtMs?: number;
  readonly progress?: {
    readonly state: "announced" | "answered" | "draining" | "drained" | "returning";
    readonly share?: number;
    readonly answers: number;
    readonly windowSeconds: number;
    readonly lastAnswerMs?: number;
    readonly emptyAtMs?: number;
    readonly reported?: {
      readonly endpoints: number;
      readonly load: number;
      readonly traffic?: number;
    };
    readonly silentEdges: number;
  };
};

export type ApprovalRequest = {
  readonly id: string;
  readonly state:
    | "pending"
    | "approved"
    | "rejected"
    | "used"
    | "expired"
    | "unreviewed"
    | "reviewed";
  readonly verb: string;
  readonly author: string;
  readonly reason: string;
  readonly about: string;
  readonly namespace: string;
  readonly targets: readonly {
    readonly kind: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly domain?: string;
    readonly verbs: readonly string[];
    readonly name: string;
  }[];
  readonly changes: readonly unknown[];
  readonly policies: readonly string[];
  readonly needed: number;
  readonly approved: number;
  readonly votes: readonly {
    readonly by: string;
    readonly atMs: number;
    readonly approves: boolean;
    readonly reason: string;
  }[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
};

export type DrillState = {
  readonly name: string;
  readonly target: string;
  readonly state: "idle" | "running" | "ending" | "paused";
  readonly nextAtMs: number;
  readonly waits?: string;
  readonly current?: {
    readonly id: string;
    readonly by: string;
    readonly startedAtMs: number;
    readonly endedAtMs?: number;
    readonly outcome?: "succeeded" | "failed" | "interrupted" | "capacity check failed";
    readonly reason?: string;
    readonly stage: string;
  };
  readonly last?: {
    readonly id: string;
    readonly by: string;
    readonly startedAtMs: number;
    readonly endedAtMs?: number;
    readonly outcome?: "succeeded" | "failed" | "interrupted" | "capacity check failed";
    readonly reason?: string;
  };
  readonly past: readonly {
    readonly id: string;
    readonly by: string;
    readonly startedAtMs: number;
    readonly endedAtMs?: number;
    readonly outcome?: "succeeded" | "failed" | "interrupted" | "capacity check failed";
    readonly reason?: string;
  }[];
};

export type Explanation = {
  readonly name: string;
  readonly type: string;
  readonly revision: number;
  readonly sequence: number;
  readonly at: string;
  readonly zone?: string;
  readonly view?: { readonly name?: string; readonly why: string };
  readonly shard?: {
    readonly cell: string;
    readonly unit: string;
    readonly edges: readonly string[];
    readonly leaving: readonly string[];
  };
  readonly isRefused?: boolean;
  readonly published?: string;
  readonly outcome: string;
  readonly target?: string;
  readonly client?: { readonly prefix: string; readonly from: string };
  readonly scope?: number;
  readonly draw?: number;
  readonly variants?: number;
  readonly ttl?: number;
  readonly ede?: number;
  readonly tree?: {
    readonly passes: readonly ExplainedNode[];
    readonly pools: readonly ExplainedPool[];
  };
  readonly chances?: readonly { readonly outcome: string; readonly chance: number }[];
  readonly answer: readonly string[];
  readonly signing?: {
    readonly keys: readonly { readonly tag: number; readonly algorithm: number }[];
    readonly denial: string;
    readonly validitySeconds: number;
    readonly refreshSeconds: number;
    readonly isReady: boolean;
    readonly inception?: string;
    readonly expiration?: string;
    readonly refresh?: string;
  };
  readonly budget?: {
    readonly detectionMs: number;
    readonly decisionMs: number;
    readonly publishMs: number;
    readonly ttlMs: number;
    readonly drainMs: number;
    readonly totalMs: number;
  };
  readonly text: string;
};

export type ExplainedNode = {
  readonly node: string;
  readonly kind: string;
  readonly verdicts: string;
  readonly audience?: number;
  readonly place?: string;
  readonly scope?: number;
  readonly status: string;
  readonly latch?: string;
  readonly branches: readonly {
    readonly target: string;
    readonly result: string;
    readonly weight?: number;
    readonly of?: number;
    readonly instead?: { readonly weight: number; readonly cause: string };
    readonly dial?: number;
    readonly fence: boolean;
    readonly node?: ExplainedNode;
    readonly pool?: ExplainedPool;
  }[];
};

export type ExplainedPool = {
  readonly pool: string;
  readonly status: string;
  readonly members: readonly {
    readonly endpoint: string;
    readonly kept: boolean;
    readonly why: string;
    readonly weight: number;
  }[];
};

/** Every request that the API describes. */
export type ApiRequest =
  | {
      readonly method: "get";
      readonly path: "/v1/documents";
      readonly query: {
        readonly labelSelector?: string | undefined;
        readonly fieldSelector?: string | undefined;
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
        readonly revision?: string | undefined;
        readonly watch?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
      readonly answer: Documents;
    }
  | {
      readonly method: "get";
      readonly path: `/v1/documents/${string}`;
      readonly query: {
        readonly labelSelector?: string | undefined;
        readonly fieldSelector?: string | undefined;
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
        readonly revision?: string | undefined;
        readonly watch?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
      readonly answer: Documents;
    }
  | {
      readonly method: "get";
      readonly path: `/v1/documents/${string}/${string}`;
      readonly query: {
        readonly labelSelector?: string | undefined;
        readonly fieldSelector?: string | undefined;
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
        readonly revision?: string | undefined;
        readonly watch?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
      readonly answer: Documents | Document;
    }
  | {
      readonly method: "get";
      readonly path: `/v1/documents/${string}/${string}/${string}`;
      readonly query: {
        readonly revision?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
      readonly answer: Document;
    }
  | {
      readonly method: "put";
      readonly path: `/v1/documents/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly allowShrink?: string | undefined;
        readonly breakGlass?: string | undefined;
        readonly owner?: string | undefined;
      };
      readonly answer: Applied;
    }
  | {
      readonly method: "put";
      readonly path: `/v1/documents/${string}/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly allowShrink?: string | undefined;
        readonly breakGlass?: string | undefined;
        readonly owner?: string | undefined;
      };
      readonly answer: Applied;
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/documents/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly allowShrink?: string | undefined;
        readonly breakGlass?: string | undefined;
        readonly owner?: string | undefined;
        readonly cascade?: string | undefined;
        readonly resourceVersion?: string | undefined;
      };
      readonly answer: Applied;
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/documents/${string}/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly allowShrink?: string | undefined;
        readonly breakGlass?: string | undefined;
        readonly owner?: string | undefined;
        readonly cascade?: string | undefined;
        readonly resourceVersion?: string | undefined;
      };
      readonly answer: Applied;
    }
  | {
      readonly method: "post";
      readonly path: "/v1/apply";
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly allowShrink?: string | undefined;
        readonly breakGlass?: string | undefined;
        readonly owner?: string | undefined;
      };
      readonly answer: Applied;
    }
  | {
      readonly method: "post";
      readonly path: "/v1/diff";
      readonly query: {};
      readonly answer: {
        readonly revision: number;
        readonly changes: readonly Difference[];
        readonly warnings: readonly DocumentProblem[];
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/plans";
      readonly query: {
        readonly profile?: string | undefined;
        readonly drain?: string | undefined;
        readonly startsAt?: string | undefined;
        readonly off?: string | undefined;
        readonly files?: string | undefined;
        readonly allowShrink?: string | undefined;
      };
      readonly answer: {
        readonly revision: number;
        readonly changes: readonly Difference[];
        readonly changedCount?: number;
        readonly warnings: readonly DocumentProblem[];
        readonly names: PlannedNames;
        readonly budgets: readonly PlannedBudget[];
        readonly traffic?: PlannedTraffic;
        readonly objections: readonly { readonly rule: string; readonly why: string }[];
        readonly lowerings: readonly {
          readonly target: string;
          readonly fromMs: number;
          readonly startsAtMs: number;
          readonly ttl: number;
          readonly least: { readonly from: number; readonly to: number };
        }[];
        readonly handovers: readonly { readonly panel: string; readonly upToMs: number }[];
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/diff";
      readonly query: {
        readonly from: string;
        readonly to?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
      readonly answer: {
        readonly from: number;
        readonly to: number;
        readonly changes: readonly Difference[];
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/history";
      readonly query: {
        readonly document?: string | undefined;
        readonly limit?: string | undefined;
        readonly to?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
      readonly answer: {
        readonly revision: number;
        readonly items: readonly {
          readonly revision: number;
          readonly at: string;
          readonly verb?: string;
          readonly who?: Who;
          readonly reason?: string;
          readonly breakGlass?: boolean;
          readonly changes: readonly Change[];
        }[];
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/rollback";
      readonly query: {
        readonly revision: string;
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly allowShrink?: string | undefined;
        readonly breakGlass?: string | undefined;
        readonly owner?: string | undefined;
      };
      readonly answer: Applied;
    }
  | {
      readonly method: "get";
      readonly path: "/v1/status";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly version: string;
        readonly ready: boolean;
        readonly revision: number;
        readonly overlaySequence: number;
        readonly servedSinceMs?: number;
        readonly problems: readonly FileProblem[];
        readonly fileErrors: readonly string[];
        readonly conditions: readonly { readonly subject: string; readonly message: string }[];
        readonly edge: {
          readonly transport: string;
          readonly workers: readonly {
            readonly index: number;
            readonly role: string;
            readonly state: string;
          }[];
          readonly addresses: readonly string[];
        };
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/controls";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly Control[]; readonly continue?: string };
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/controls/${string}`;
      readonly query: {};
      readonly answer: { readonly forgotten: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/edges";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly Edge[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/shards";
      readonly query: {
        readonly zone?: string | undefined;
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly Shard[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/dnssec";
      readonly query: {
        readonly zone?: string | undefined;
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly SignedZone[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/secondaries";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly SecondaryZone[]; readonly continue?: string };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/dnssec/roll";
      readonly query: { readonly zone: string; readonly role?: "ksk" | "zsk" | "csk" | undefined };
      readonly answer: { readonly zone: string; readonly rolls: readonly string[] };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/dnssec/export";
      readonly query: { readonly zone: string };
      readonly answer: {
        readonly zone: string;
        readonly files: readonly { readonly name: string; readonly text: string }[];
      };
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/edges/${string}`;
      readonly query: {};
      readonly answer: { readonly revoked: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/publication";
      readonly query: { readonly revision?: string | undefined };
      readonly answer: {
        readonly revision: number;
        readonly state: "live" | "pending" | "withdrawn";
        readonly reason?: string;
        readonly canaries?: readonly string[];
        readonly serving: number;
        readonly waiting: readonly EdgeBehind[];
        readonly silent: readonly EdgeBehind[];
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/endpoints";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly Endpoint[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/pools";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly pool: string;
          readonly members: number;
          readonly healthy: number;
          readonly drained: number;
          readonly healthCheck: string;
          readonly answers: number;
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/sites";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly site: string;
          readonly parent: string;
          readonly endpoints: number;
          readonly healthy: number;
          readonly drained: number;
          readonly answers: number;
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/policies";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly policy: string;
          readonly root: string;
          readonly nodes: number;
          readonly queries: number;
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/records";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly name: string;
          readonly types: string;
          readonly target: string;
          readonly ttl: string;
          readonly failoverBudgetMs?: number;
          readonly objectiveMs?: number;
          readonly view?: string;
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/health";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly endpoint: string;
          readonly check: string;
          readonly kind: string;
          readonly verdict: "unknown" | "healthy" | "unhealthy";
          readonly reason: string;
          readonly sinceMs: number;
          readonly lastReason: string;
          readonly lastProbeMs?: number;
          readonly lastDurationMs?: number;
          readonly condition: string;
          readonly vantages?: readonly Witness[];
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/vantages";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly name: string;
          readonly site: string;
          readonly isOwn: boolean;
          readonly state: "live" | "silent" | "suspect";
          readonly ageMs: number;
          readonly chosenCount: number;
          readonly healthyCount: number;
          readonly unhealthyCount: number;
          readonly reports: number;
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/health/history";
      readonly query: {
        readonly endpoint?: string | undefined;
        readonly count?: string | undefined;
      };
      readonly answer: readonly {
        readonly key: string;
        readonly verdict: "unknown" | "healthy" | "unhealthy";
        readonly previous: "unknown" | "healthy" | "unhealthy";
        readonly reason: string;
        readonly vantage: string;
        readonly atMs: number;
        readonly earliestChangeMs: number;
        readonly sequence: number;
      }[];
    }
  | {
      readonly method: "get";
      readonly path: "/v1/policies/counts";
      readonly query: { readonly policy: string };
      readonly answer: readonly {
        readonly node: string;
        readonly kind: string;
        readonly answers: number;
        readonly branches: readonly {
          readonly index: number;
          readonly target: string;
          readonly answers: number;
        }[];
        readonly audiences: readonly {
          readonly audience: number;
          readonly branches: readonly number[];
          readonly queries: number;
        }[];
      }[];
    }
  | {
      readonly method: "get";
      readonly path: "/v1/top/names";
      readonly query: { readonly count?: string | undefined };
      readonly answer: readonly { readonly name: string; readonly queries: number }[];
    }
  | {
      readonly method: "post";
      readonly path: "/v1/edges/invitations";
      readonly query: {};
      readonly answer: {
        readonly edge: string;
        readonly token: string;
        readonly expiresAtMs: number;
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/replay";
      readonly query: {};
      readonly answer: {
        readonly equal: boolean;
        readonly isCut: boolean;
        readonly answer: string;
        readonly text: string;
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/push";
      readonly query: {
        readonly check: string;
        readonly endpoint: string;
        readonly status: "healthy" | "unhealthy";
        readonly reason?: string | undefined;
      };
      readonly answer: { readonly accepted: boolean };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/latency";
      readonly query: { readonly dataSet: string };
      readonly answer: { readonly accepted: number };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/rollouts";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly RolloutState[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/routing-controls";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly RoutingControlState[];
        readonly continue?: string;
        readonly asOf?: {
          readonly epoch: number;
          readonly revision: number;
          readonly ageMs: number;
        };
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/recoveryplans";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly RecoveryPlanRow[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/recoveryruns";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly RecoveryRunRow[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/recoveryreport";
      readonly query: {
        readonly namespace?: string | undefined;
        readonly run: string;
        readonly page?: string | undefined;
      };
      readonly answer: RecoveryReport;
    }
  | {
      readonly method: "get";
      readonly path: "/v1/shifts";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly RunningShift[]; readonly continue?: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/drills";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly DrillState[]; readonly continue?: string };
    }
  | {
      readonly method: "post";
      readonly path: `/v1/drills/${string}/${string}`;
      readonly query: {};
      readonly answer: DrillState;
    }
  | {
      readonly method: "get";
      readonly path: "/v1/approvals";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: { readonly items: readonly ApprovalRequest[]; readonly continue?: string };
    }
  | {
      readonly method: "post";
      readonly path: `/v1/approvals/${string}`;
      readonly query: {};
      readonly answer: ApprovalRequest;
    }
  | {
      readonly method: "get";
      readonly path: "/v1/latches";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly { readonly name: string; readonly tier: number }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/notifications";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
      readonly answer: {
        readonly items: readonly {
          readonly name: string;
          readonly receiver: string;
          readonly state: "paused" | "failing" | "waiting" | "told";
          readonly holds: number;
          readonly waiting: number;
          readonly sent: number;
          readonly failed: number;
          readonly lastSentMs?: number;
          readonly lastError?: string;
        }[];
        readonly continue?: string;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/explain";
      readonly query: {
        readonly name: string;
        readonly type?: string | undefined;
        readonly client?: string | undefined;
        readonly resolver?: string | undefined;
        readonly view?: string | undefined;
        readonly at?: string | undefined;
      };
      readonly answer: Explanation;
    }
  | {
      readonly method: "post";
      readonly path: "/v1/rollouts";
      readonly query: {};
      readonly answer: RolloutState;
    }
  | {
      readonly method: "post";
      readonly path: "/v1/routing-controls";
      readonly query: {};
      readonly answer: {
        readonly changed: readonly string[];
        readonly controls: readonly RoutingControlState[];
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/recoveryruns";
      readonly query: {};
      readonly answer: RecoveryReport;
    }
  | {
      readonly method: "put";
      readonly path: "/v1/recoveryruns";
      readonly query: {};
      readonly answer: RecoveryReport;
    }
  | {
      readonly method: "post";
      readonly path: "/v1/recoveryapprovals";
      readonly query: {};
      readonly answer: RecoveryReport;
    }
  | {
      readonly method: "post";
      readonly path: "/v1/shifts";
      readonly query: {};
      readonly answer: {
        readonly shift?: RunningShift;
        readonly reached: readonly string[];
        readonly lacks?: readonly string[];
        readonly ttlLoweredAtMs?: number;
      };
    }
  | {
      readonly method: "put";
      readonly path: "/v1/shifts";
      readonly query: {};
      readonly answer: { readonly extended: readonly RunningShift[] };
    }
  | {
      readonly method: "delete";
      readonly path: "/v1/shifts";
      readonly query: {
        readonly target: string;
        readonly now?: string | undefined;
        readonly reason?: string | undefined;
        readonly force?: string | undefined;
        readonly breakGlass?: string | undefined;
      };
      readonly answer: { readonly removed: readonly RunningShift[] };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/failback";
      readonly query: {
        readonly node: string;
        readonly reason?: string | undefined;
        readonly breakGlass?: string | undefined;
      };
      readonly answer: { readonly node: string };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/reload";
      readonly query: {};
      readonly answer: {
        readonly changed: boolean;
        readonly problems: readonly FileProblem[];
        readonly errors: readonly string[];
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/audit";
      readonly query: {
        readonly limit?: string | undefined;
        readonly to?: string | undefined;
        readonly texts?: string | undefined;
      };
      readonly answer: readonly {
        readonly revision: number;
        readonly at: string;
        readonly verb?: string;
        readonly who?: Who;
        readonly reason?: string;
        readonly breakGlass?: boolean;
        readonly id: string;
        readonly auditHash: string;
        readonly changes: readonly {
          readonly document: string;
          readonly change: "created" | "configured" | "deleted";
          readonly before?: unknown;
          readonly after?: unknown;
        }[];
        readonly details?: Readonly<
          Record<string, { readonly revision: number; readonly sha256: string }>
        >;
        readonly run?: {
          readonly name: string;
          readonly state: string;
          readonly steps: readonly string[];
        };
      }[];
    }
  | {
      readonly method: "get";
      readonly path: "/v1/audit/verify";
      readonly query: {};
      readonly answer: { readonly ok: boolean; readonly problems: readonly string[] };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/audit/refusals";
      readonly query: {};
      readonly answer: readonly {
        readonly atMs: number;
        readonly subject: string;
        readonly address: string;
        readonly request: string;
        readonly code: string;
        readonly message: string;
        readonly previous: string;
        readonly hash: string;
      }[];
    }
  | {
      readonly method: "get";
      readonly path: "/v1/tokens";
      readonly query: {};
      readonly answer: readonly {
        readonly name: string;
        readonly subject: string;
        readonly roles: readonly string[];
        readonly expiresAt: string;
      }[];
    }
  | {
      readonly method: "post";
      readonly path: "/v1/tokens";
      readonly query: {};
      readonly answer: {
        readonly name: string;
        readonly subject: string;
        readonly roles: readonly string[];
        readonly expiresAt: string;
        readonly token: string;
      };
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/tokens/${string}`;
      readonly query: {};
      readonly answer: { readonly revoked: string; readonly revision: number };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/whoami";
      readonly query: {};
      readonly answer: {
        readonly subject: string;
        readonly token?: string;
        readonly isAdmin: boolean;
      };
    };

/** Paths of a method. */
export type PathOf<Method extends ApiRequest["method"]> = Extract<
  ApiRequest,
  { readonly method: Method }
>["path"];

/** What may stand in the query of a request. */
export type QueryOf<Method extends ApiRequest["method"], Path> = Matching<
  Extract<ApiRequest, { readonly method: Method }>,
  Path
>;

/** What a request is answered. */
export type AnswerOf<Method extends ApiRequest["method"], Path> = Answering<
  Extract<ApiRequest, { readonly method: Method }>,
  Path
>;

type Answering<Request extends ApiRequest, Path> = Request extends ApiRequest
  ? Path extends Request["path"]
    ? Request["answer"]
    : never
  : never;

/** What a list is of. */
export type ItemOf<Path> =
  AnswerOf<"get", Path> extends { readonly items: readonly (infer Item)[] } ? Item : never;

type Matching<Request extends ApiRequest, Path> = Request extends ApiRequest
  ? Path extends Request["path"]
    ? Request["query"]
    : never
  : never;
