// SPDX-License-Identifier: Apache-2.0

// Made from the description of the API (packages/control/src/http/client-types.ts); a test keeps it so.

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
    }
  | {
      readonly method: "get";
      readonly path: `/v1/documents/${string}/${string}/${string}`;
      readonly query: {
        readonly revision?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
      };
    }
  | {
      readonly method: "put";
      readonly path: `/v1/documents/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly owner?: string | undefined;
      };
    }
  | {
      readonly method: "put";
      readonly path: `/v1/documents/${string}/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly owner?: string | undefined;
      };
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/documents/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly owner?: string | undefined;
        readonly cascade?: string | undefined;
        readonly resourceVersion?: string | undefined;
      };
    }
  | {
      readonly method: "delete";
      readonly path: `/v1/documents/${string}/${string}/${string}`;
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly owner?: string | undefined;
        readonly cascade?: string | undefined;
        readonly resourceVersion?: string | undefined;
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/apply";
      readonly query: {
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly owner?: string | undefined;
      };
    }
  | { readonly method: "post"; readonly path: "/v1/diff"; readonly query: {} }
  | {
      readonly method: "get";
      readonly path: "/v1/diff";
      readonly query: {
        readonly from: string;
        readonly to?: string | undefined;
        readonly consistency?: "strong" | "session" | "causal" | "bounded" | "eventual" | undefined;
        readonly maxStaleness?: string | undefined;
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
    }
  | {
      readonly method: "post";
      readonly path: "/v1/rollback";
      readonly query: {
        readonly revision: string;
        readonly dryRun?: string | undefined;
        readonly reason?: string | undefined;
        readonly publish?: "immediate" | "progressive" | undefined;
        readonly owner?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/status";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/controls";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/edges";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | { readonly method: "delete"; readonly path: `/v1/edges/${string}`; readonly query: {} }
  | {
      readonly method: "get";
      readonly path: "/v1/publication";
      readonly query: { readonly revision?: string | undefined };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/endpoints";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/pools";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/sites";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/policies";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/records";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/health";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/vantages";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/health/history";
      readonly query: {
        readonly endpoint?: string | undefined;
        readonly count?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/policies/counts";
      readonly query: { readonly policy: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/top/names";
      readonly query: { readonly count?: string | undefined };
    }
  | { readonly method: "post"; readonly path: "/v1/edges/invitations"; readonly query: {} }
  | { readonly method: "post"; readonly path: "/v1/replay"; readonly query: {} }
  | {
      readonly method: "post";
      readonly path: "/v1/push";
      readonly query: {
        readonly check: string;
        readonly endpoint: string;
        readonly status: "healthy" | "unhealthy";
        readonly reason?: string | undefined;
      };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/latency";
      readonly query: { readonly dataSet: string };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/shifts";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/latches";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
      };
    }
  | {
      readonly method: "get";
      readonly path: "/v1/notifications";
      readonly query: {
        readonly limit?: string | undefined;
        readonly continue?: string | undefined;
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
        readonly at?: string | undefined;
      };
    }
  | { readonly method: "post"; readonly path: "/v1/shifts"; readonly query: {} }
  | {
      readonly method: "delete";
      readonly path: "/v1/shifts";
      readonly query: { readonly target: string };
    }
  | {
      readonly method: "post";
      readonly path: "/v1/failback";
      readonly query: { readonly node: string };
    }
  | { readonly method: "post"; readonly path: "/v1/reload"; readonly query: {} }
  | {
      readonly method: "get";
      readonly path: "/v1/audit";
      readonly query: {
        readonly limit?: string | undefined;
        readonly to?: string | undefined;
        readonly texts?: string | undefined;
      };
    }
  | { readonly method: "get"; readonly path: "/v1/audit/verify"; readonly query: {} }
  | { readonly method: "get"; readonly path: "/v1/audit/refusals"; readonly query: {} }
  | { readonly method: "get"; readonly path: "/v1/tokens"; readonly query: {} }
  | { readonly method: "post"; readonly path: "/v1/tokens"; readonly query: {} }
  | { readonly method: "delete"; readonly path: `/v1/tokens/${string}`; readonly query: {} }
  | { readonly method: "get"; readonly path: "/v1/whoami"; readonly query: {} };

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

type Matching<Request extends ApiRequest, Path> = Request extends ApiRequest
  ? Path extends Request["path"]
    ? Request["query"]
    : never
  : never;
